"""Two looks at an image, against the published code fed with the same network answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from runtime.detections import Detections
from runtime.errors import UsageError
from runtime.postprocess import PostprocessOptions, suppress_detections
from runtime.saccade import SIGMA, SaccadeDetector, SaccadeOptions, with_published_sigma
from tests.runtime.saccade_golden import (
    MEAN_BGR,
    NETWORK_HW,
    STD_BGR,
    RecordedNetwork,
    read_golden,
)

GOLDEN = read_golden()
PUBLISHED = PostprocessOptions(score_threshold=0.001, sigma=SIGMA)


def network_that_finds(
    scores: tuple[float, ...] = (), attention: float = 0.0, seen: list[int] | None = None
):
    """Return a network that finds a 40 x 30 box in the middle of every crop for each score."""

    def infer(frames: np.ndarray) -> Mapping[str, np.ndarray]:
        if seen is not None:
            seen.append(len(frames))
        count, rows = len(frames), max(1, len(scores))
        outputs = {
            "boxes": np.tile(np.float32([107, 112, 147, 142]), (count, rows, 1)),
            "scores": np.tile(np.float32(scores or [-1]), (count, 1)),
            "class_ids": np.zeros((count, rows), np.int32),
        }
        for index, side in enumerate((16, 32, 64)):
            outputs[f"att{index}"] = np.zeros((count, 1, side, side), np.float32)
        outputs["att0"][:, 0, 8, 8] = attention
        return outputs

    return infer


def test_both_looks_are_the_published_ones() -> None:
    network = RecordedNetwork(GOLDEN)
    SaccadeDetector(network, NETWORK_HW).look(GOLDEN["image"])
    assert [len(frames) for frames in network.frames] == [2, 30]
    for call, frames in enumerate(network.frames):
        inputs = ((frames / np.float32(255) - MEAN_BGR) / STD_BGR).transpose(0, 3, 1, 2)
        off = (inputs[:, :, ::16, ::16] - GOLDEN[f"call{call}/net_input_sub16"]).transpose(
            0, 2, 3, 1
        )
        # The published crops are not rounded to whole grey levels.
        assert np.abs(off * STD_BGR * 255).max() < 1


def test_merged_boxes_are_the_published_ones() -> None:
    outputs = SaccadeDetector(RecordedNetwork(GOLDEN), NETWORK_HW).look(GOLDEN["image"])
    rows = np.column_stack([outputs["boxes"][0], outputs["scores"][0]])
    found = suppress_detections(rows, outputs["class_ids"][0], PUBLISHED)
    got = np.column_stack([found.class_ids + 1, found.boxes_xyxy, found.scores])
    wanted = GOLDEN["final_cls_x1y1x2y2_score"]
    order = [np.lexsort((-table[:, 5], table[:, 0])) for table in (got, wanted)]
    np.testing.assert_array_equal(got[order[0]], wanted[order[1]])


def test_detections_lie_on_the_image() -> None:
    detector = SaccadeDetector(RecordedNetwork(GOLDEN), NETWORK_HW)
    found = detector.detect(GOLDEN["image"], PUBLISHED)
    assert isinstance(found, Detections)
    assert len(found) > 50
    assert found.boxes_xyxy.min() >= 0
    assert (found.boxes_xyxy <= [331, 217, 331, 217]).all()
    assert (np.diff(found.scores) <= 0).all()


def test_a_box_returns_to_where_it_lies_on_the_image() -> None:
    image = np.zeros((510, 510, 3), np.uint8)
    options = SaccadeOptions(max_crops=0)
    outputs = SaccadeDetector(network_that_finds((0.9,)), NETWORK_HW, options).look(image)
    # The second of the first look's crops is the whole image at 255 pixels, from pixel 0 on.
    wanted = np.float32([107, 112, 147, 142]) * 510 / 255
    np.testing.assert_allclose(outputs["boxes"][0, 1], wanted, rtol=1e-5)
    assert outputs["scores"].tolist() == [[np.float32(0.9)] * 2]


@pytest.mark.parametrize(("score", "crops"), [(0.2, 0), (0.4, 0), (0.51, 2)])
def test_sure_boxes_get_a_second_look(score: float, crops: int) -> None:
    seen: list[int] = []
    detector = SaccadeDetector(network_that_finds((score,), seen=seen), NETWORK_HW)
    outputs = detector.look(np.zeros((300, 300, 3), np.uint8))
    assert seen == ([2, crops] if crops else [2])
    assert outputs["scores"].shape == (1, (2 if score > 0.3 else 0) + crops)


def test_attention_gets_a_second_look_without_any_box() -> None:
    seen: list[int] = []
    detector = SaccadeDetector(network_that_finds((), 0.6, seen), NETWORK_HW)
    outputs = detector.look(np.zeros((300, 300, 3), np.uint8))
    assert seen[0] == 2
    assert sum(seen[1:]) >= 1
    assert outputs["boxes"].shape == (1, 0, 4)


def test_nothing_of_interest_ends_after_the_first_look() -> None:
    seen: list[int] = []
    detector = SaccadeDetector(network_that_finds(seen=seen), NETWORK_HW)
    found = detector.detect(np.zeros((300, 200, 3), np.uint8), PostprocessOptions())
    assert seen == [2]
    assert len(found) == 0


@pytest.mark.parametrize(("batch", "calls"), [(1, [1] * 32), (8, [2, 8, 8, 8, 6]), (32, [2, 30])])
def test_crops_are_shown_in_batches(batch: int, calls: list[int]) -> None:
    recorded, sizes = RecordedNetwork(GOLDEN), []
    whole = [RecordedNetwork(GOLDEN)(np.zeros((2, 1, 1, 3), np.uint8))]
    recorded.frames.append(np.zeros(0))
    whole.append(recorded(np.zeros((30, 1, 1, 3), np.uint8)))
    shown = 0

    def infer(frames: np.ndarray) -> dict[str, np.ndarray]:
        nonlocal shown
        sizes.append(len(frames))
        look, first = (0, shown) if shown < 2 else (1, shown - 2)
        shown += len(frames)
        return {name: a[first : first + len(frames)] for name, a in whole[look].items()}

    got = SaccadeDetector(infer, NETWORK_HW, SaccadeOptions(batch=batch)).look(GOLDEN["image"])
    once = SaccadeDetector(RecordedNetwork(GOLDEN), NETWORK_HW).look(GOLDEN["image"])
    assert sizes == calls
    for name, array in once.items():
        np.testing.assert_array_equal(got[name], array)


def test_fewer_crops_are_the_best_ones() -> None:
    network = RecordedNetwork(GOLDEN)
    network.golden = GOLDEN | {"call1/dets": GOLDEN["call1/dets"][:4]}
    SaccadeDetector(network, NETWORK_HW, SaccadeOptions(max_crops=4)).look(GOLDEN["image"])
    full = RecordedNetwork(GOLDEN)
    SaccadeDetector(full, NETWORK_HW).look(GOLDEN["image"])
    np.testing.assert_array_equal(network.frames[1], full.frames[1][:4])


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 900), (900, 3), (2000, 30)])
def test_odd_images_do_no_harm(size_hw: tuple[int, int]) -> None:
    detector = SaccadeDetector(network_that_finds((0.9,), 0.6), NETWORK_HW)
    found = detector.detect(np.zeros((*size_hw, 3), np.uint8), PostprocessOptions())
    assert (found.boxes_xyxy <= [size_hw[1], size_hw[0]] * 2).all()


def test_an_image_without_pixels_is_refused() -> None:
    detector = SaccadeDetector(network_that_finds(), NETWORK_HW)
    with pytest.raises(UsageError, match="expected sizes of at least 1 pixel"):
        detector.detect(np.zeros((0, 5, 3), np.uint8), PostprocessOptions())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_crops": -1}, "max crops is -1; expected 0 or more"),
        ({"attention_threshold": 1.5}, "attention threshold is 1.5; expected 0 to 1"),
        ({"batch": 0}, "batch is 0; expected at least 1"),
    ],
)
def test_options_out_of_range_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SaccadeOptions(**change)


def test_the_default_width_of_suppression_becomes_the_published_one() -> None:
    assert with_published_sigma(PostprocessOptions(0.2)) == PostprocessOptions(0.2, sigma=0.7)
    chosen = PostprocessOptions(sigma=0.6)
    assert with_published_sigma(chosen) is chosen
