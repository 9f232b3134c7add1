"""From the network's outputs to detections on the original image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from runtime.contract import AnyDecodeParams
from runtime.detections import Detections
from runtime.errors import UsageError
from runtime.geometry import Letterbox
from runtime.suppression import NmsMethod, soft_nms


@dataclass(frozen=True)
class PostprocessOptions:
    """What to keep of the network's boxes; the defaults suit a live picture.

    Attributes:
        score_threshold: Lowest score shown, before and after suppression, in [0, 1].
        method: How the score of an overlapping box of the same class falls; None is what suits the
            model, see ``suited_to``, and Gaussian where nobody asked it.
        iou_threshold: Overlap above which hard and linear suppression act.
        sigma: Width of the Gaussian suppression; 0.5 is the published value.
        max_detections: Most boxes per image; 100 is the published value.

    Raises:
        UsageError: On creation, if a value is out of range.
    """

    score_threshold: float = 0.3
    method: NmsMethod | None = None
    iou_threshold: float = 0.5
    sigma: float = 0.5
    max_detections: int = 100

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.0 <= self.score_threshold <= 1.0:
            raise UsageError(f"score threshold is {self.score_threshold}; expected 0 to 1")
        if not 0.0 <= self.iou_threshold <= 1.0:
            raise UsageError(f"IoU threshold is {self.iou_threshold}; expected 0 to 1")
        if not self.sigma > 0.0:
            raise UsageError(f"sigma is {self.sigma}; expected a positive number")
        if self.max_detections < 1:
            raise UsageError(f"max detections is {self.max_detections}; expected at least 1")

    @property
    def suppression(self) -> NmsMethod:
        """The method in use."""
        return NmsMethod.GAUSSIAN if self.method is None else self.method

    def suited_to(self, decode: AnyDecodeParams) -> PostprocessOptions:
        """Return options for boxes of a model, with a method that was chosen left as it is.

        Args:
            decode: Of the model's contract.
        """
        if self.method is not None or decode.needs_suppression:
            return self
        return replace(self, method=NmsMethod.NONE)


def detections_from_raw(
    outputs: Mapping[str, np.ndarray], letterbox: Letterbox, options: PostprocessOptions
) -> Detections:
    """Turn one image's outputs into detections, best first.

    Suppression runs on image pixels, per class, as in the published test code.

    Args:
        outputs: ``boxes`` float32 (1, D, 4) in network pixels, ``scores`` float32 (1, D) with -1
            for an empty slot, ``class_ids`` int32 (1, D); other entries are ignored.
        letterbox: How the image was placed on the network's canvas.
        options: What to keep.

    Returns:
        At most ``options.max_detections``; boxes that lie in the border alone are gone.
    """
    boxes, scores = outputs["boxes"][0], outputs["scores"][0]
    wanted = np.flatnonzero(scores >= options.score_threshold)  # NaN and empty slots (-1) fail
    if wanted.size == 0:
        return Detections.empty()
    boxes = letterbox.to_image(boxes[wanted])
    rows = np.column_stack([boxes, scores[wanted]])
    class_ids = outputs["class_ids"][0][wanted]
    real = (rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])
    return suppress_detections(rows[real], class_ids[real], options)


def suppress_detections(
    rows: np.ndarray, class_ids: np.ndarray, options: PostprocessOptions
) -> Detections:
    """Suppress within each class and keep the best of what remains.

    Args:
        rows: float32 (N, 5), x1 y1 x2 y2 score; not modified.
        class_ids: int32 (N,).
        options: How to suppress, and how many to keep.

    Returns:
        At most ``options.max_detections``, best first.
    """
    kept, kept_ids = [np.zeros((0, 5), np.float32)], [np.zeros(0, np.int32)]
    for class_id in np.unique(class_ids):
        kept.append(
            soft_nms(
                rows[class_ids == class_id],
                options.suppression,
                options.iou_threshold,
                options.sigma,
                options.score_threshold,
            )
        )
        kept_ids.append(np.full(len(kept[-1]), class_id, np.int32))
    survivors = np.concatenate(kept)
    order = np.argsort(-survivors[:, 4], kind="stable")[: options.max_detections]
    best = survivors[order]
    return Detections(best[:, :4], best[:, 4], np.concatenate(kept_ids)[order])
