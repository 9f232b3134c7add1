"""The published test of a network: padded, at several scales, mirrored, merged by soft-NMS.

Against ``detectors.predict.LetterboxPredictor`` the image keeps its own size, so that the network
must take any: a checkpoint does, an exported artifact does not.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, sections 4.2 and 4.3; the links of the chain
are in ``runtime.published_protocol``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.predict import NetworkRunner, run_with_mirror
from runtime.detections import Detections
from runtime.errors import UsageError
from runtime.published_protocol import (
    PublishedSuppression,
    boxes_to_image,
    final_detections,
    pad_image,
)


@dataclass(frozen=True)
class PublishedTest:
    """How the published test looks at an image.

    Attributes:
        scales: Factors of the image's size; the release's multi-scale test takes 0.5, 0.75, 1,
            1.25 and 1.5.
        flip: Whether the mirrored image is looked at too.
        suppression: How the boxes of all views are suppressed together.

    Raises:
        UsageError: On creation, if a scale is not positive.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    suppression: PublishedSuppression = field(default_factory=PublishedSuppression)

    def __post_init__(self) -> None:
        """Check the scales."""
        if not self.scales or not all(0 < scale <= 4 for scale in self.scales):
            raise UsageError(
                f"got scales {', '.join(map(str, self.scales)) or 'none'}; expected numbers above "
                "0 and up to 4, such as 0.5 0.75 1 1.25 1.5"
            )


class PublishedPredictor:
    """Predicts as the published test code does.

    Args:
        run: The network; takes pictures of any size that fits its divisor.
        num_classes: Its number of classes.
        test: How to look at an image.
    """

    def __init__(self, run: NetworkRunner, num_classes: int, test: PublishedTest) -> None:
        self.run, self.num_classes, self.test = run, num_classes, test

    def __call__(self, image: np.ndarray) -> Detections:
        """Find objects on one uint8 (H, W, 3) BGR image of any size."""
        per_scale = [self._look(image, scale) for scale in self.test.scales]
        per_class = final_detections(per_scale, self.test.suppression, self.num_classes)
        return _joined(per_class)

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Find objects on several images, one after the other: their sizes differ."""
        return [self(image) for image in images]

    def _look(self, image: np.ndarray, scale: float) -> np.ndarray:
        """Return the boxes of one scale, float32 (N, 8), in pixels of the image."""
        spec = self.run.spec
        padded = pad_image(image, scale, spec.size_divisor, spec.size_remainder)
        found = run_with_mirror(self.run, padded.image[None], self.test.flip)
        return boxes_to_image(found.rows[0], padded, spec.stride_px)


def _joined(per_class: Sequence[np.ndarray]) -> Detections:
    """Return rows x1 y1 x2 y2 score by class as detections, best first."""
    rows = np.concatenate(list(per_class))
    class_ids = np.repeat(np.arange(len(per_class), dtype=np.int32), [len(r) for r in per_class])
    order = np.argsort(-rows[:, 4], kind="stable")
    return Detections(rows[order, :4], rows[order, 4], class_ids[order])
