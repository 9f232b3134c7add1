"""Decoding against the golden data, the rules of pairing one by one, and tracing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from detectors.decode import decode_corners
from runtime.errors import UsageError

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "decode.npz"
CHANNELS = {"heat": 2, "tag": 1, "off": 2}
MAP_NAMES = [f"{corner}_{kind}" for corner in ("tl", "br") for kind in CHANNELS]


def golden_cases() -> list[str]:
    with np.load(GOLDEN) as data:
        return sorted({key.split("/")[0] for key in data.files})


def empty_maps(height: int = 8, width: int = 8, images: int = 1) -> dict[str, Tensor]:
    """Return maps with heatmaps of logit -9 and everything else zero."""
    maps = {name: torch.zeros(images, CHANNELS[name[3:]], height, width) for name in MAP_NAMES}
    return maps | {name: maps[name] - 9 for name in ("tl_heat", "br_heat")}


def maps_with_pair() -> dict[str, Tensor]:
    """Return maps with one object of class 1: cells (1, 2) to (6, 5), logits 3 and 2."""
    maps = empty_maps()
    maps["tl_heat"][0, 1, 2, 1] = 3.0
    maps["br_heat"][0, 1, 5, 6] = 2.0
    maps["tl_off"][0, :, 2, 1] = torch.tensor([0.25, 0.5])
    maps["br_off"][0, :, 5, 6] = torch.tensor([0.75, 0.125])
    return maps


def decode_strong(maps: dict[str, Tensor], **changes: float | str) -> Tensor:
    """Return the rows of the first image that score above 0.5."""
    parameters = {"top_k": 4, "nms_kernel": 3, "ae_threshold": 0.5, "num_dets": 16}
    rows = decode_corners(maps, **(parameters | changes))[0]
    return rows[rows[:, 4] > 0.5]


def test_a_corner_beside_background_scores_half_or_nothing() -> None:
    maps = maps_with_pair()
    maps["br_heat"][0, 1, 5, 6] = -5.0  # hardly a bottom-right corner
    first, second = torch.sigmoid(torch.tensor([3.0, -5.0])).tolist()
    mean = decode_corners(maps, 4, 3, 0.5, 16)[0, 0, 4].item()
    assert mean == pytest.approx((first + second) / 2) and mean > 0.4
    geometric = decode_corners(maps, 4, 3, 0.5, 16, pair_score="geometric")[0, 0, 4].item()
    assert geometric == pytest.approx((first * second) ** 0.5) and geometric < 0.1
    (row,) = decode_strong(maps_with_pair(), pair_score="geometric")
    assert row[4].item() == pytest.approx((row[5] * row[6]).sqrt().item())


@pytest.mark.parametrize("case", golden_cases())
def test_equals_the_golden_data(case: str) -> None:
    with np.load(GOLDEN) as data:
        maps = {name: torch.from_numpy(data[f"{case}/{name}"]) for name in MAP_NAMES}
        top_k, kernel, ae_threshold, num_dets, no_border = data[f"{case}/params"].tolist()
        expected, valid_counts = data[f"{case}/dets"], data[f"{case}/n_valid"]
    got = decode_corners(
        maps, int(top_k), int(kernel), ae_threshold, int(num_dets), drop_border=bool(no_border)
    ).numpy()
    assert got.shape == expected.shape
    for rows, expected_rows, count in zip(got, expected, valid_counts, strict=True):
        np.testing.assert_allclose(rows[:count], expected_rows[:count], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(rows[count:, 4], -1)


def test_one_pair_by_hand() -> None:
    (row,) = decode_strong(maps_with_pair())
    tl_score, br_score = torch.tensor([3.0, 2.0]).sigmoid().tolist()
    expected = [1.25, 2.5, 6.75, 5.125, (tl_score + br_score) / 2, tl_score, br_score, 1]
    assert row.tolist() == pytest.approx(expected, abs=1e-6)


def test_pairs_of_different_class_are_refused() -> None:
    maps = maps_with_pair()
    maps["br_heat"] = maps["br_heat"].flip(1)
    assert len(decode_strong(maps)) == 0


@pytest.mark.parametrize(("distance", "kept"), [(0.5, 1), (0.501, 0), (-0.5, 1), (-0.501, 0)])
def test_embeddings_may_differ_by_the_threshold_and_no_more(distance: float, kept: int) -> None:
    maps = maps_with_pair()
    maps["tl_tag"][0, 0, 2, 1] = distance
    assert len(decode_strong(maps)) == kept


@pytest.mark.parametrize(("shift", "kept"), [(-5.5, 1), (-5.51, 0)])
def test_order_of_the_corners_is_tested_after_offsets(shift: float, kept: int) -> None:
    maps = maps_with_pair()
    maps["tl_off"][0, 0, 2, 1] = 0.5
    maps["br_off"][0, 0, 5, 6] = shift + 1
    assert len(decode_strong(maps)) == kept


def test_only_the_maximum_of_a_window_is_a_peak() -> None:
    maps = maps_with_pair()
    maps["tl_heat"][0, 1, 2, 2] = 2.5
    assert len(decode_strong(maps)) == 1
    assert len(decode_strong(maps, nms_kernel=1)) == 2


@pytest.mark.parametrize("corner", ["tl", "br"])
def test_corners_at_the_border_are_dropped_on_request(corner: str) -> None:
    maps = maps_with_pair()
    y, x = (2, 0) if corner == "tl" else (7, 6)
    maps[f"{corner}_heat"][0, 1] = -9
    maps[f"{corner}_heat"][0, 1, y, x] = 3.0
    assert len(decode_strong(maps)) == 1
    assert len(decode_strong(maps, drop_border=True)) == 0


def test_images_of_a_batch_are_independent() -> None:
    maps = {name: torch.randn(3, CHANNELS[name[3:]], 9, 7) for name in MAP_NAMES}
    together = decode_corners(maps, 10, 3, 0.5, 20)
    for image in range(3):
        alone = decode_corners({k: v[image : image + 1] for k, v in maps.items()}, 10, 3, 0.5, 20)
        valid = alone[0, :, 4] > -1
        assert torch.equal(together[image][valid], alone[0][valid])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_dtype_is_decoded_in_float32(dtype: torch.dtype) -> None:
    rows = decode_corners({k: v.to(dtype) for k, v in maps_with_pair().items()}, 4, 3, 0.5, 16)
    assert rows.dtype == torch.float32
    assert torch.equal(rows, decode_corners(maps_with_pair(), 4, 3, 0.5, 16))


def test_every_cell_may_be_a_corner() -> None:
    maps = {name: torch.zeros(1, CHANNELS[name[3:]], 2, 2) for name in MAP_NAMES}
    assert decode_corners(maps, 8, 3, 0.5, 64).shape == (1, 64, 8)


def test_survives_export_with_dynamic_sizes() -> None:
    class Decode(torch.nn.Module):
        def forward(self, maps: dict[str, Tensor]) -> Tensor:
            return decode_corners(maps, 5, 3, 0.5, 20)

    example = {name: torch.randn(2, CHANNELS[name[3:]], 8, 6) for name in MAP_NAMES}
    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    program = torch.export.export(
        Decode(), (example,), dynamic_shapes={"maps": dict.fromkeys(example, sizes)}
    )
    other = {name: torch.randn(1, CHANNELS[name[3:]], 7, 11) for name in MAP_NAMES}
    assert torch.equal(program.module()(other), Decode()(other))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nms_kernel": 2}, "nms_kernel is 2; expected an odd number"),
        ({"nms_kernel": 0}, "nms_kernel is 0; expected an odd number"),
        ({"num_dets": 17}, "num_dets is 17 with top_k 4; expected 1 to top_k [*] top_k = 16"),
        ({"num_dets": 0}, "num_dets is 0 with top_k 4"),
        ({"top_k": 129}, r"top_k is 129, but a heatmap of shape \(2, 8, 8\) has 128 cells"),
    ],
)
def test_refuses_parameters_out_of_range(changes: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode_strong(empty_maps(), **changes)
