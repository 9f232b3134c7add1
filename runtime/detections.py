"""What a detector found on one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detections:
    """Boxes on one image, best first unless said otherwise.

    Attributes:
        boxes_xyxy: float32 (N, 4), left, top, right, bottom edges in pixels of the original image.
        scores: float32 (N,), confidence in [0, 1].
        class_ids: int32 (N,), index into the contract's class names.

    Raises:
        ValueError: On creation, if shapes or dtypes differ from these.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray

    def __post_init__(self) -> None:
        """Check shapes and dtypes."""
        count = len(self.scores)
        wanted = {
            "boxes_xyxy": (self.boxes_xyxy, (count, 4), np.float32),
            "scores": (self.scores, (count,), np.float32),
            "class_ids": (self.class_ids, (count,), np.int32),
        }
        for name, (array, shape, dtype) in wanted.items():
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(
                    f"{name} is {array.dtype} {array.shape}; "
                    f"expected {np.dtype(dtype)} {shape}; convert it first"
                )

    @classmethod
    def empty(cls) -> Detections:
        """Return a result with no boxes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.scores)

    def above(self, score_threshold: float) -> Detections:
        """Return the detections whose score is at least ``score_threshold``."""
        keep = self.scores >= score_threshold
        return Detections(self.boxes_xyxy[keep], self.scores[keep], self.class_ids[keep])
