"""The published test protocol, link by link and as a chain, against what the original code left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.published_protocol import (
    PaddedImage,
    PublishedSuppression,
    boxes_to_image,
    final_detections,
    join_flipped,
    pad_image,
)
from runtime.suppression import NmsMethod

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
MEAN_BGR = np.float32([0.40789654, 0.44719302, 0.47026115])
STD_BGR = np.float32([0.28863828, 0.27408164, 0.27809835])
FILES = {
    name: dict(np.load(GOLDEN / f"preprocess_postprocess_{name}.npz"))
    for name in ("lite", "cornernet")
}
IMAGES = ("A97x151", "B127x255", "C128x100")
CASES = [
    (name, f"{image}/{variant}")
    for name, arrays in FILES.items()
    for image in IMAGES
    for variant in ("cornernet", "squeeze", "multiscale")
    if f"{image}/{variant}/final_cls_x1y1x2y2_score" in arrays
]


def scales(name: str, case: str) -> list[float]:
    return FILES[name].get(f"{case}/scales", np.ones(1)).tolist()


def padded(name: str, case: str, scale: float) -> PaddedImage:
    return pad_image(FILES[name][case.split("/", maxsplit=1)[0] + "/image"], scale)


def stride(case: str) -> int:
    return 8 if case.endswith("squeeze") else 4


def test_golden_data_is_there() -> None:
    assert len(CASES) >= 10
    assert {case.split("/")[1] for _, case in CASES} == {"cornernet", "squeeze", "multiscale"}


@pytest.mark.parametrize(("name", "case"), CASES)
def test_padding_gives_the_published_input(name: str, case: str) -> None:
    for index, scale in enumerate(scales(name, case)):
        arrays, got = FILES[name], padded(name, case, scale)
        at = f"{case}/scale{index}"
        top, _, left, _ = arrays[f"{at}/borders"][0]
        assert got.border_yx == (top, left)
        assert got.scaled_hw == tuple(arrays[f"{at}/sizes"][0])
        ratios = np.array(got.map_hw(stride(case))) / got.image.shape[:2]
        np.testing.assert_allclose(ratios, arrays[f"{at}/ratios"][0], rtol=1e-6)
        if f"{at}/net_input" in arrays:
            normalised = (got.image / np.float32(255) - MEAN_BGR) / STD_BGR
            wanted = arrays[f"{at}/net_input"].transpose(1, 2, 0)
            np.testing.assert_allclose(normalised, wanted, atol=1e-6)


def test_an_odd_size_that_fits_loses_its_last_row_and_column() -> None:
    image = np.full((127, 255, 3), 9, np.uint8)
    got = pad_image(image)
    assert got.image.shape == (127, 255, 3)
    assert got.border_yx == (0, 0)
    assert not got.image[126].any()
    assert not got.image[:, 254].any()
    assert (got.image[:126, :254] == 9).all()


def test_an_even_size_grows() -> None:
    assert pad_image(np.zeros((128, 100, 3), np.uint8)).image.shape == (255, 127, 3)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_each_link_is_the_published_array(name: str, case: str) -> None:
    arrays = FILES[name]
    for index, scale in enumerate(scales(name, case)):
        at, image = f"{case}/scale{index}", padded(name, case, scale)
        raw = arrays[f"{at}/raw_dets"]
        joined = join_flipped(raw, image.map_hw(4)[1]) if len(raw) == 2 else raw[0]
        np.testing.assert_array_equal(joined, arrays[f"{at}/pre_rescale_dets"][0])
        moved = boxes_to_image(joined, image, stride(case))
        moved[:, :4] *= np.float32(scale)  # the golden array is from before this division
        np.testing.assert_allclose(moved, arrays[f"{at}/rescaled_dets"][0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_the_chain_ends_in_the_published_detections(name: str, case: str) -> None:
    arrays, per_scale = FILES[name], []
    for index, scale in enumerate(scales(name, case)):
        image, raw = padded(name, case, scale), arrays[f"{case}/scale{index}/raw_dets"]
        joined = join_flipped(raw, image.map_hw(4)[1]) if len(raw) == 2 else raw[0]
        per_scale.append(boxes_to_image(joined, image, stride(case)))
    suppression = PublishedSuppression(merge=case.endswith("multiscale"))
    final = final_detections(per_scale, suppression)
    rows = np.concatenate(
        [np.insert(boxes, 0, number, axis=1) for number, boxes in enumerate(final, start=1)]
    )
    wanted = arrays[f"{case}/final_cls_x1y1x2y2_score"]
    assert rows.shape == wanted.shape
    np.testing.assert_allclose(rows, wanted, rtol=2e-6, atol=2e-6)


def test_without_detections_every_class_is_empty() -> None:
    empty = np.full((5, 8), -1, np.float32)
    per_class = final_detections([empty], PublishedSuppression())
    assert [len(boxes) for boxes in per_class] == [0] * 80
    assert len(final_detections([empty], PublishedSuppression(), num_classes=3)) == 3


def test_suppression_follows_its_options() -> None:
    """Two boxes of 11 x 11 pixels that share 8 x 11: their overlap is 88 / 154."""
    rows = np.float32([[0, 0, 10, 10, 0.9, 0.9, 0.9, 0], [3, 0, 13, 10, 0.8, 0.8, 0.8, 0]])

    def second_score(suppression: PublishedSuppression) -> float:
        (boxes,) = final_detections([rows], suppression, num_classes=1)
        return float(boxes[1, 4])

    overlap = 88 / 154
    linear = PublishedSuppression(NmsMethod.LINEAR)
    assert second_score(linear) == pytest.approx(0.8 * (1 - overlap), rel=1e-5)
    assert second_score(PublishedSuppression(NmsMethod.LINEAR, 0.6)) == pytest.approx(0.8)
    gaussian = PublishedSuppression(sigma=2.0)
    assert second_score(gaussian) == pytest.approx(0.8 * np.exp(-(overlap**2) / 2), rel=1e-5)


@pytest.mark.parametrize(("side", "canvas"), [(1, 32), (32, 32), (33, 64), (100, 128)])
def test_another_divisor_pads_to_its_multiples(side: int, canvas: int) -> None:
    image = np.full((side, 64, 3), 9, np.uint8)
    got = pad_image(image, 1.0, 32, 0)
    assert got.image.shape == (canvas, 64, 3)
    assert (got.image[got.border_yx[0] :][:side] == 9).all()
    assert got.map_hw(4) == (canvas // 4, 16)


def test_a_tiny_image_keeps_a_pixel() -> None:
    assert pad_image(np.zeros((1, 3, 3), np.uint8), 0.5).scaled_hw == (1, 1)
