"""Tests of the exported view of a detector."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detectors.decode import decode_corners
from export.wrapper import DecodeMaps, DeployModule, Normalisation, NormaliseFrames
from runtime.contract import ATTENTION_NAMES, DETECTION_NAMES, MAP_NAMES, DecodeParams

NORMALISATION = Normalisation((0.1, 0.2, 0.3), (0.5, 0.25, 0.2))
DECODE = DecodeParams(top_k=4, nms_kernel=3, ae_threshold=0.5, num_dets=6)
PEAK = 6.0


def maps_of_one_box(batch: int = 1) -> dict[str, Tensor]:
    """Return maps of 8 x 16 cells with one object of class 1: (3, 2) to (11.25, 6.5)."""
    maps = {
        name: torch.zeros(batch, channels, 8, 16)
        for name, channels in zip(MAP_NAMES, (2, 2, 1, 1, 2, 2), strict=True)
    }
    for name in ("tl_heat", "br_heat"):
        maps[name] -= PEAK
    maps["tl_heat"][:, 1, 2, 3] = PEAK
    maps["br_heat"][:, 1, 6, 11] = PEAK
    maps["br_off"][:, :, 6, 11] = torch.tensor([0.25, 0.5])
    return maps


class FixedMaps(nn.Module):
    """A detector that keeps what it was shown and answers with the same maps."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.images = images
        return maps_of_one_box(len(images))


def test_normalisation_matches_the_formula() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    images = NormaliseFrames(NORMALISATION)(torch.from_numpy(frames))
    mean, std = (np.array(v) for v in (NORMALISATION.mean_bgr, NORMALISATION.std_bgr))
    want = ((frames / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert images.shape == (2, 3, 4, 5)
    assert images.dtype == torch.float32
    np.testing.assert_allclose(images, want, atol=2e-6)


def test_boxes_are_scaled_to_network_pixels_not_by_the_stride() -> None:
    # 31 x 61 pixels became 8 x 16 cells, so a cell is a little less than four pixels.
    boxes, scores, class_ids, corners = DecodeMaps(DECODE)(maps_of_one_box(), 31, 61)
    want = np.array([3 * 61 / 16, 2 * 31 / 8, 11.25 * 61 / 16, 6.5 * 31 / 8])
    np.testing.assert_allclose(boxes[0, 0], want, rtol=1e-6)
    score = 1 / (1 + np.exp(-PEAK))
    np.testing.assert_allclose(scores[0, 0], score, rtol=1e-6)
    np.testing.assert_allclose(corners[0, 0], [score, score], rtol=1e-6)
    assert class_ids[0, 0] == 1


def test_rows_are_those_of_the_decoder() -> None:
    rows = decode_corners(maps_of_one_box(), 4, 3, 0.5, 6)
    _, scores, class_ids, corners = DecodeMaps(DECODE)(maps_of_one_box(), 32, 64)
    torch.testing.assert_close(scores, rows[..., 4])
    torch.testing.assert_close(corners, rows[..., 5:7])
    torch.testing.assert_close(class_ids, rows[..., 7].int())


@pytest.mark.parametrize("batch", [1, 3])
def test_deploy_module_returns_detections_then_raw_maps(batch: int) -> None:
    module = DeployModule(FixedMaps(), NORMALISATION, DECODE).eval()
    outputs = module(torch.zeros(batch, 32, 64, 3, dtype=torch.uint8))
    assert len(outputs) == len(DETECTION_NAMES) + len(MAP_NAMES)
    boxes, scores, class_ids, corners = outputs[:4]
    assert boxes.shape == (batch, 6, 4)
    assert scores.shape == (batch, 6)
    assert class_ids.dtype == torch.int32
    assert corners.shape == (batch, 6, 2)
    for value, want in zip(outputs[4:], maps_of_one_box(batch).values(), strict=True):
        torch.testing.assert_close(value, want)


def test_attention_follows_the_raw_maps_as_scores() -> None:
    class Attentive(FixedMaps):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            logits = {name: torch.full((len(images), 1, 2, 4), 1.5) for name in ATTENTION_NAMES}
            return super().forward(images) | logits

    module = DeployModule(Attentive(), NORMALISATION, DECODE, ATTENTION_NAMES).eval()
    outputs = module(torch.zeros(2, 32, 64, 3, dtype=torch.uint8))
    assert module.output_names == (*DETECTION_NAMES, *MAP_NAMES, *ATTENTION_NAMES)
    assert len(outputs) == len(module.output_names)
    for scores in outputs[-3:]:
        torch.testing.assert_close(scores, torch.full((2, 1, 2, 4), 1.5).sigmoid())


def test_boxes_at_the_border_are_dropped_where_asked() -> None:
    maps = maps_of_one_box()
    for name in ("tl_heat", "tl_off"):
        maps[name] = maps[name].roll((-2, 0), (2, 3))  # the top-left corner moves to row 0
    keeps = DecodeMaps(DECODE)(maps, 32, 64)[1]
    drops = DecodeMaps(dataclasses.replace(DECODE, drop_border=True))(maps, 32, 64)[1]
    assert keeps.max() > 0.9
    assert drops.max() < 0.6


def test_detector_sees_normalised_images() -> None:
    detector = FixedMaps()
    DeployModule(detector, NORMALISATION, DECODE)(torch.zeros(1, 32, 64, 3, dtype=torch.uint8))
    torch.testing.assert_close(
        detector.images[0, :, 0, 0], torch.tensor([-0.2, -0.8, -1.5]), rtol=1e-6, atol=1e-6
    )
