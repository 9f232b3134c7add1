"""The corners and pairs shown are the decoder's own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from detectors.decode import decode_corners
from detectors.explain_corners import Gate, pair_corners
from runtime.contract import DecodeParams
from tests.detectors.explained import CHANNELS, DECODE, Peak, one_object, pairing_of


def random_maps(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        f"{corner}_{kind}": torch.randn(1, channels, 9, 11, generator=generator)
        for corner in ("tl", "br")
        for kind, channels in CHANNELS.items()
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "decode",
    [
        DecodeParams(40, 3, 1.5, 100),
        DecodeParams(40, 3, 1.5, 100, "geometric"),
        DecodeParams(40, 3, 1.5, 100, drop_border=True),
        DecodeParams(60, 1, 2.0, 30),
    ],
)
def test_the_pairs_are_the_decoders_rows(seed: int, decode: DecodeParams) -> None:
    maps = random_maps(seed)
    rows = decode_corners(maps, **dataclasses.asdict(decode))[0].numpy()
    rows = rows[rows[:, 4] > -1]
    pairs = pair_corners(maps, decode).pairs(decode.num_dets)
    got = np.array(
        [
            (*p.box_cells, p.score, p.top_left.score, p.bottom_right.score, p.top_left.class_id)
            for p in pairs
        ]
    )
    assert len(rows) == len(got) > 0
    np.testing.assert_allclose(got[:, 4], rows[:, 4], rtol=0, atol=1e-6)
    # Pairs of equal score come in any order.
    got, rows = (table[np.lexsort(np.round(table, 4).T)] for table in (got, rows))
    np.testing.assert_allclose(got, rows, rtol=0, atol=1e-6)


def test_one_pair_by_hand() -> None:
    (pair,) = [pair for pair in pairing_of(*one_object()).pairs(20) if pair.score > 0.5]
    assert pair.box_cells == (4, 5, 12, 14)
    assert pair.distance == pytest.approx(0.1)
    assert pair.score == pytest.approx((0.9 * 0.8) ** 0.5)
    assert [corner.rank for corner in pair.corners] == [0, 0]


@pytest.mark.parametrize(
    ("other", "gates"),
    [
        (Peak("br", 12, 14, 1, 0.8, 0.5), ()),
        (Peak("br", 12, 14, 1, 0.8, 0.6), (Gate.EMBEDDING,)),
        (Peak("br", 12, 14, 2, 0.8, 0.0), (Gate.CLASS,)),
        (Peak("br", 3, 14, 1, 0.8, 0.0), (Gate.POSITION,)),
        (Peak("br", 12, 4, 1, 0.8, 0.0), (Gate.POSITION,)),
        (Peak("br", 12, 4, 2, 0.8, 9.0), (Gate.CLASS, Gate.POSITION, Gate.EMBEDDING)),
    ],
)
def test_every_gate_is_named(other: Peak, gates: tuple[Gate, ...]) -> None:
    pairing = pairing_of(one_object()[0], other)
    first, second = pairing.top_left[0], pairing.bottom_right[0]
    assert pairing.failed_gates(first, second) == gates
    assert pairing.failed_gates(second, first) == gates
    assert bool(pairing.accepted[0, 0]) is not bool(gates)


@pytest.mark.parametrize(("x", "gates"), [(0, (Gate.BORDER,)), (1, ())])
def test_the_border_counts_for_decoders_that_drop_it(x: int, gates: tuple[Gate, ...]) -> None:
    decode = dataclasses.replace(DECODE, drop_border=True)
    peaks = Peak("tl", x, 5, 1, 0.9, 0.0), one_object()[1]
    pairing = pairing_of(*peaks, decode=decode)
    assert pairing.failed_gates(pairing.top_left[0], pairing.bottom_right[0]) == gates


def test_no_more_pairs_than_asked_for() -> None:
    pairing = pair_corners(random_maps(1), DecodeParams(60, 1, 2.0, 30))
    assert len(pairing.pairs(3)) == 3
    assert pairing.pairs(3) == pairing.pairs(20)[:3]
