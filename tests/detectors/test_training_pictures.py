"""Pictures of what a network sees."""

from __future__ import annotations

import numpy as np
import torch

from detectors.registry import build_detector, find_spec
from detectors.training_pictures import picture_of


def network(bias: float) -> torch.nn.Module:
    """Return a nano whose top-left heatmap is the same everywhere."""
    net = build_detector("cornernet-nano", 2).eval()
    last = net.heads["tl_heat"][-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, bias)
    return net


def picture(net: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    return picture_of(net, find_spec("cornernet-nano"), (64, 96), image, ("a", "b"))


def test_boxes_and_two_heatmaps_lie_side_by_side():
    image = np.full((50, 40, 3), 200, np.uint8)
    drawn = picture(network(-9.0), image)
    assert drawn.shape == (64, 3 * 96, 3) and drawn.dtype == np.uint8
    assert image.min() == image.max() == 200


def test_a_family_with_one_heatmap_shows_one():
    image = np.zeros((64, 96, 3), np.uint8)
    net = build_detector("centernet-nano", 2).eval()
    drawn = picture_of(net, find_spec("centernet-nano"), (64, 96), image, ("a", "b"))
    assert drawn.shape == (64, 2 * 96, 3)


def test_a_heatmap_is_as_bright_as_its_logits_are_high():
    image = np.zeros((64, 96, 3), np.uint8)
    cold, hot = (picture(network(bias), image)[:, 96:192].mean() for bias in (-9.0, 9.0))
    assert hot > cold + 50
