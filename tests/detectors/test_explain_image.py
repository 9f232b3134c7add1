"""One image through a network: boxes as predicted, places on the image, pairs found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from detectors.explain_image import Detector, Placement, Truth, explain_image
from detectors.explain_record import record_of
from detectors.predict import predictor_from_network
from detectors.registry import DETECTORS, build_detector
from runtime.contract import ATTENTION_NAMES
from runtime.errors import UsageError
from runtime.geometry import Letterbox
from runtime.postprocess import PostprocessOptions
from tests.detectors.explained import NAMES

SPEC = DETECTORS["cornernet-nano"]


def detector() -> Detector:
    torch.manual_seed(1)
    network = build_detector("cornernet-nano", 3).eval()
    for name, head in network.heads.items():
        if name.endswith("heat"):  # loud enough for boxes without training
            nn.init.normal_(head[-1].weight, std=1.0)
            nn.init.zeros_(head[-1].bias)
    return Detector(network, SPEC, (64, 96), NAMES)


def picture(height: int = 70, width: int = 90) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def test_the_boxes_are_the_predictors_with_the_pairs_they_were_made_of() -> None:
    model, image = detector(), picture()
    options = PostprocessOptions(score_threshold=0.2)
    expected = predictor_from_network(model.network, SPEC, model.size_hw, options)(image)
    explanation = explain_image(image, model, 0.2)
    assert len(explanation.shown) == len(expected) > 3
    for box, wanted, score, class_id in zip(
        explanation.shown, expected.boxes_xyxy, expected.scores, expected.class_ids, strict=True
    ):
        assert np.array_equal(np.float32(box.box_xyxy), wanted)
        assert (box.score, box.class_id) == (pytest.approx(float(score)), class_id)
        again = explanation.placement.to_image(box.pair.box_cells)
        np.testing.assert_allclose(again, wanted, atol=1e-3)
        assert box.pair.score >= box.score - 1e-6


def test_heatmaps_are_probabilities_of_the_whole_canvas() -> None:
    explanation = explain_image(picture(), detector(), 0.2)
    for heat in explanation.heat.values():
        assert heat.shape == (3, 16, 24)
        assert 0 <= heat.min() <= heat.max() <= 1
    assert [view.direction for view in explanation.pools] == ["top", "left", "bottom", "right"]


def test_annotations_make_missed_objects() -> None:
    truth = Truth(np.array([[1.0, 1.0, 4.0, 4.0]]), np.array([0]))
    explanation = explain_image(picture(), detector(), 0.99, truth)
    assert explanation.shown == ()
    assert [found.index for found in explanation.failures.missed] == [0]


def test_a_network_without_corners_is_refused() -> None:
    class Centres(nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"hm": images}

    model = Detector(Centres(), SPEC, (64, 96), NAMES)
    with pytest.raises(UsageError, match="predicts hm; expected the maps of a CornerNet, tl_heat"):
        explain_image(picture(), model, 0.3)


def test_a_network_that_looks_closer_is_explained_by_its_first_look() -> None:
    one_look = detector()
    spec = replace(one_look.spec, attention_names=ATTENTION_NAMES)
    explanation = explain_image(picture(), replace(one_look, spec=spec), 0.3)
    assert record_of(explanation) == record_of(explain_image(picture(), one_look, 0.3))


@pytest.mark.parametrize("image_hw", [(64, 96), (100, 50), (33, 200)])
def test_cells_and_pixels_are_each_others_inverse(image_hw: tuple[int, int]) -> None:
    placement = Placement(Letterbox.fit(image_hw, (64, 96)), (16, 24))
    boxes = np.array([[1.0, 2.0, 30.0, 20.0], [0, 0, image_hw[1], image_hw[0]]])
    np.testing.assert_allclose(placement.to_image(placement.to_cells(boxes)), boxes, atol=1e-4)


def test_the_extent_covers_the_letterbox_borders() -> None:
    placement = Placement(Letterbox.fit((100, 50), (64, 96)), (16, 24))
    left, right, bottom, top = placement.extent
    assert (top, bottom) == (0, 100)
    assert left == pytest.approx(-50)
    assert right == pytest.approx(100)
    whole = placement.to_cells(np.array([left, top, right, bottom]))
    assert whole.tolist() == pytest.approx([0, 0, 24, 16])
