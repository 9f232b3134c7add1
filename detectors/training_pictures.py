"""What a network in training sees: boxes and heatmaps on an image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from detectors.normalise import normalise
from detectors.predict import predictor_from_network
from detectors.registry import DetectorSpec
from runtime.drawing import draw_detections
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions
from runtime.preprocess import letterbox_image

# Boxes below this score would hide the picture early in a run.
SHOWN_SCORE = 0.3


def picture_of(
    network: nn.Module,
    spec: DetectorSpec,
    size_hw: tuple[int, int],
    image: np.ndarray,
    class_names: Sequence[str],
) -> np.ndarray:
    """Draw predicted boxes, and the heatmaps of the family, side by side.

    Args:
        network: A network of the registry, in evaluation mode.
        spec: Its entry in the registry.
        size_hw: Height and width of its input, in pixels.
        image: uint8 (H, W, 3) BGR of any size; not modified.
        class_names: Names by class id.

    Returns:
        uint8 (height, (1 + heatmaps) * width, 3) BGR.
    """
    frame = letterbox_image(image, Letterbox.fit(image.shape[:2], size_hw))
    options = PostprocessOptions(score_threshold=SHOWN_SCORE)
    found = predictor_from_network(network, spec, size_hw, options)(frame)
    device = next(network.parameters()).device
    with torch.inference_mode():
        maps = network(normalise(torch.from_numpy(frame).unsqueeze(0).to(device), spec))
    heats = [_overlay(frame, maps[name][0]) for name in spec.family.heat_names]
    return np.hstack([draw_detections(frame.copy(), found, class_names), *heats])


def _overlay(frame: np.ndarray, logits: Tensor) -> np.ndarray:
    """Blend the strongest class's heatmap, from logits (C, h, w), into a frame."""
    heat = logits.amax(0).sigmoid().float().cpu().numpy()
    heat = cv2.resize(heat, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap(np.uint8(255 * heat), cv2.COLORMAP_INFERNO)
    return cv2.addWeighted(frame, 0.4, colors, 0.6, 0)
