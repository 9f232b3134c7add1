"""The published test as a predictor: the golden chain through it, and its own rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from detectors.augmented_testing import PublishedPredictor, PublishedTest
from detectors.predict import GridBoxes, NetworkRunner, Runner
from detectors.registry import DetectorSpec, find_spec
from runtime.errors import UsageError
from runtime.published_protocol import PublishedSuppression, pad_image

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "golden" / "preprocess_postprocess_lite.npz")
CASES = [
    f"{image}/{variant}"
    for image in ("A97x151", "B127x255", "C128x100")
    for variant in ("cornernet", "squeeze", "multiscale")
    if f"{image}/{variant}/final_cls_x1y1x2y2_score" in GOLDEN
]


class RecordedRunner(Runner):
    """Gives the rows of a golden case, scale by scale, and keeps what it was shown."""

    def __init__(self, case: str, spec: DetectorSpec) -> None:
        self.case, self.spec, self.shown = case, spec, []

    def _run(self, canvases: np.ndarray) -> GridBoxes:
        rows = GOLDEN[f"{self.case}/scale{len(self.shown)}/raw_dets"]
        assert len(rows) == len(canvases)
        self.shown.append(canvases)
        stride = self.spec.stride_px
        height, width = ((side + 1) // stride for side in canvases.shape[1:3])
        return GridBoxes(rows.copy(), (height, width))


def test_the_golden_file_has_all_variants() -> None:
    assert {case.split("/")[1] for case in CASES} == {"cornernet", "squeeze", "multiscale"}


@pytest.mark.parametrize("case", CASES)
def test_the_predictor_ends_in_the_published_detections(case: str) -> None:
    image = GOLDEN[case.split("/", maxsplit=1)[0] + "/image"]
    is_squeeze, is_multiscale = case.endswith("squeeze"), case.endswith("multiscale")
    spec = find_spec("cornernet-squeeze" if is_squeeze else "cornernet-hourglass104")
    scales = tuple(GOLDEN[f"{case}/scales"].tolist()) if is_multiscale else (1.0,)
    test = PublishedTest(scales, not is_squeeze, PublishedSuppression(merge=is_multiscale))
    runner = RecordedRunner(case, spec)
    found = PublishedPredictor(runner, 80, test)(image)

    wanted = GOLDEN[f"{case}/final_cls_x1y1x2y2_score"]
    rows = np.column_stack([found.class_ids + 1, found.boxes_xyxy, found.scores])
    assert rows.shape == wanted.shape
    np.testing.assert_allclose(sorted_rows(rows), sorted_rows(wanted), rtol=2e-6, atol=2e-6)
    assert (np.diff(found.scores) <= 0).all()
    for scale, canvases in zip(scales, runner.shown, strict=True):
        padded = pad_image(image, scale).image
        assert np.array_equal(canvases[0], padded)
        if not is_squeeze:
            assert np.array_equal(canvases[1], padded[:, ::-1])


def sorted_rows(rows: np.ndarray) -> np.ndarray:
    """Sort by class, score and place, so that the order inside a class does not matter."""
    return rows[np.lexsort((*rows[:, 1:5].T, rows[:, 5], rows[:, 0]))]


class BrightBox(nn.Module):
    """Finds the bright rectangle of a picture: its first and last lit cell, at stride 4."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        assert not any(side % 32 for side in images.shape[2:])
        lit = nn.functional.avg_pool2d(images[:, :1], 4) > 0
        maps = {}
        for name, pick in (("tl_heat", min), ("br_heat", max)):
            heat = torch.full(lit.shape, -9.0)
            for index, mask in enumerate(lit[:, 0]):
                rows, columns = torch.nonzero(mask, as_tuple=True)
                # One past the last lit cell, so that a box covers its cells.
                past = int(pick is max)
                heat[index, 0, pick(rows.tolist()) + past, pick(columns.tolist()) + past] = 9.0
            maps[name] = heat
        for name in ("tl_tag", "br_tag"):
            maps[name] = torch.zeros(lit.shape)
        for name in ("tl_off", "br_off"):
            maps[name] = torch.zeros((len(lit), 2, *lit.shape[2:]))
        return maps


def bright_box_image() -> np.ndarray:
    """Return 120 x 200 pixels with a bright rectangle at x 20 to 60, y 40 to 80."""
    image = np.zeros((120, 200, 3), np.uint8)
    image[40:80, 20:60] = 255
    return image


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scales", [(1.0,), (1.0, 2.0)])
def test_views_agree_about_a_box(flip: bool, scales: tuple[float, ...]) -> None:
    spec = find_spec("cornernet-nano")  # any multiple of 32: 128 x 224 here
    suppression = PublishedSuppression(score_threshold=0.3)
    predictor = PublishedPredictor(
        NetworkRunner(BrightBox(), spec), 1, PublishedTest(scales, flip, suppression)
    )
    found = predictor(bright_box_image())
    best = found.above(0.9)
    assert len(best) >= 1
    np.testing.assert_allclose(best.boxes_xyxy[0], [20, 40, 60, 80], atol=2.0)
    views = len(scales) * (2 if flip else 1)
    assert predictor.run.seconds > 0
    assert len(found.above(0.01)) <= views * spec.decode.num_dets


def test_several_images_are_predicted_in_turn() -> None:
    runner = NetworkRunner(BrightBox(), find_spec("cornernet-nano"))
    predictor = PublishedPredictor(runner, 1, PublishedTest())
    images = [bright_box_image(), bright_box_image()[:100]]
    for found, image in zip(predictor.predict_batch(images), images, strict=True):
        np.testing.assert_array_equal(found.boxes_xyxy, predictor(image).boxes_xyxy)


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (5.0,), (float("nan"),)])
def test_scales_out_of_range_are_refused(scales: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=r"got scales .*; expected numbers above 0 and up to 4"):
        PublishedTest(scales)
