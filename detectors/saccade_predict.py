"""CornerNet-Saccade behind the same call as every other detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from detectors.normalise import normalise
from detectors.registry import DetectorSpec
from runtime.detections import Detections
from runtime.errors import UsageError
from runtime.postprocess import PostprocessOptions
from runtime.saccade import (
    PROCESSOR_BATCH,
    Outputs,
    SaccadeDetector,
    SaccadeOptions,
    with_published_sigma,
)


class SaccadePredictor:
    """Predicts with two looks through one network: see ``runtime.saccade``.

    Args:
        detector: Looks twice.
        options: What to keep of its boxes; the default width of the suppression becomes the one
            published for this detector.
        flip: Refused: what the mirrored crops show is not defined.

    Attributes:
        options: What is kept, with the width of suppression in use.

    Raises:
        UsageError: On creation, if ``flip`` is set.
    """

    def __init__(
        self, detector: SaccadeDetector, options: PostprocessOptions, flip: bool = False
    ) -> None:
        if flip:
            raise UsageError(
                "got --flip for a model that looks twice; expected the image alone, as published; "
                "drop --flip"
            )
        self._detector = detector
        self.options = with_published_sigma(options)

    def __call__(self, image: np.ndarray) -> Detections:
        """Find objects on one uint8 (H, W, 3) BGR image of any size."""
        return self._detector.detect(image, self.options)

    def predict_batch(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Find objects on several images, one after the other: each has crops of its own."""
        return [self(image) for image in images]


def detector_from_network(
    model: nn.Module, spec: DetectorSpec, size_hw: tuple[int, int]
) -> SaccadeDetector:
    """Return what looks twice through a PyTorch network.

    Args:
        model: A network of the registry with attention maps, with its weights, on any device; set
            to evaluation mode at each call.
        spec: Its entry in the registry.
        size_hw: Height and width of the network's input, in pixels.
    """

    @torch.inference_mode()
    def infer(frames: np.ndarray) -> Outputs:
        model.eval()
        device = next(model.parameters()).device
        maps = model(normalise(torch.from_numpy(frames).to(device), spec))
        rows = spec.family.decode(maps, spec.decode).cpu().numpy()
        cells_hw = maps[spec.map_names[0]].shape[2:]
        scale_y, scale_x = (px / c for px, c in zip(frames.shape[1:3], cells_hw, strict=True))
        outputs = {
            "boxes": rows[..., :4] * np.float32([scale_x, scale_y, scale_x, scale_y]),
            "scores": rows[..., 4],
            "class_ids": rows[..., -1].astype(np.int32),
        }
        return outputs | {n: maps[n].sigmoid().cpu().numpy() for n in spec.attention_names}

    is_on_processor = next(model.parameters()).device.type == "cpu"
    options = SaccadeOptions(batch=PROCESSOR_BATCH) if is_on_processor else SaccadeOptions()
    return SaccadeDetector(infer, size_hw, options)
