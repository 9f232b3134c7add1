"""Decoding of CenterNets against the golden data, by hand, and traced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from detectors.centernet_decode import decode_centers
from runtime.errors import UsageError

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "ctdet_decode.npz"


def maps_with_object(images: int = 1) -> dict[str, Tensor]:
    """Return maps of 6 by 8 cells with one object of class 1 in cell (5, 2), 4 wide and 3 high."""
    maps = {"hm": torch.full((images, 3, 6, 8), -9.0)}
    maps |= {name: torch.zeros(images, 2, 6, 8) for name in ("wh", "reg")}
    maps["hm"][0, 1, 2, 5] = 3.0
    maps["wh"][0, :, 2, 5] = torch.tensor([4.0, 3.0])
    maps["reg"][0, :, 2, 5] = torch.tensor([0.25, 0.75])
    return maps


def test_equals_the_golden_data() -> None:
    with np.load(GOLDEN) as data:
        maps = {n: torch.from_numpy(data[f"c128_K100/{n}"]) for n in ("hm", "wh", "reg")}
        want, top_k = data["c128_K100/dets"], int(data["c128_K100/K"])
    np.testing.assert_allclose(decode_centers(maps, top_k, 3).numpy(), want, rtol=0, atol=1e-5)


def test_one_object_by_hand() -> None:
    row, second = decode_centers(maps_with_object(), 2, 3)[0]
    score = torch.tensor(3.0).sigmoid().item()
    # Centre 5.25, 2.75; half of 4 to both sides, half of 3 up and down.
    assert row.tolist() == pytest.approx([3.25, 1.25, 7.25, 4.25, score, 1], abs=1e-6)
    assert second[4] < 0.01


def test_rows_without_a_peak_are_empty() -> None:
    maps = maps_with_object()
    maps["hm"][0] = maps["hm"][0, 1, 2, 5] - torch.arange(8) - 8.0 * torch.arange(6)[:, None]
    rows = decode_centers(maps, 4, 3)[0]  # one peak per class, in the first cell
    assert (rows[:3, 4] > 0.5).all()
    assert rows[3, 4] == -1


def test_only_the_maximum_of_a_window_is_a_peak() -> None:
    maps = maps_with_object()
    maps["hm"][0, 1, 2, 6] = 2.5
    assert (decode_centers(maps, 4, 3)[0, :, 4] > 0.5).sum() == 1
    assert (decode_centers(maps, 4, 1)[0, :, 4] > 0.5).sum() == 2


def test_neighbours_of_another_class_are_kept() -> None:
    maps = maps_with_object()
    maps["hm"][0, 2, 2, 6] = 2.5
    rows = decode_centers(maps, 4, 3)[0]
    assert rows[:2, 5].tolist() == [1, 2] and (rows[:, 4] > 0.5).sum() == 2


def test_images_of_a_batch_are_independent() -> None:
    torch.manual_seed(2)
    maps = {"hm": torch.randn(3, 4, 6, 8), "wh": torch.rand(3, 2, 6, 8)}
    maps["reg"] = torch.rand(3, 2, 6, 8)
    together = decode_centers(maps, 7, 3)
    alone = [decode_centers({k: v[i : i + 1] for k, v in maps.items()}, 7, 3) for i in range(3)]
    assert torch.equal(together, torch.cat(alone))
    assert (together[..., 4].diff(dim=1) <= 0).all()


def test_half_precision_is_decoded_in_single() -> None:
    maps = {name: value.half() for name, value in maps_with_object().items()}
    rows = decode_centers(maps, 1, 3)
    assert rows.dtype == torch.float32
    assert torch.equal(rows, decode_centers({n: v.float() for n, v in maps.items()}, 1, 3))


@pytest.mark.parametrize(
    ("top_k", "nms_kernel", "message"),
    [
        (4, 2, "nms_kernel is 2; expected an odd number"),
        (4, -1, "nms_kernel is -1"),
        (145, 3, "top_k is 145, but a heatmap .* has 144 cells"),
        (0, 3, "top_k is 0"),
    ],
)
def test_parameters_out_of_range_are_refused(top_k: int, nms_kernel: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode_centers(maps_with_object(), top_k, nms_kernel)


def test_traced_decoding_takes_other_sizes() -> None:
    class Decoder(torch.nn.Module):
        def forward(self, hm: Tensor, wh: Tensor, reg: Tensor) -> Tensor:
            return decode_centers({"hm": hm, "wh": wh, "reg": reg}, 3, 3)

    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    maps = tuple(maps_with_object(2).values())
    program = torch.export.export(Decoder(), maps, dynamic_shapes=(sizes,) * 3)
    torch.manual_seed(3)
    other = tuple(torch.randn(1, channels, 9, 11) for channels in (3, 2, 2))
    assert torch.equal(program.module()(*other), Decoder()(*other))
