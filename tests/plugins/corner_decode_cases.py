"""What decoding is tested on, for the kernels on the CPU and on a GPU alike, and what is expected.

The reference is detectors/decode.py with one addition: torch leaves open which of two equal scores
comes first, ONNX does not, and ``lower_index_first`` lets torch answer as ONNX does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from detectors.decode import decode_corners
from plugins.decode_door import DecodeCall
from runtime.contract import MAP_NAMES

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "decode.npz"
GOLDEN_CASES = ("d128_K100", "d64_K20")  # a third drops pairs at the border, which is for crops
CHANNELS = {"tag": 1, "off": 2}

Maps = dict[str, np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Detections of a batch, as the graph gives them.

    Attributes:
        boxes: float32 (N, D, 4).
        scores: float32 (N, D).
        class_ids: int32 (N, D).
        corner_scores: float32 (N, D, 2).
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    corner_scores: np.ndarray


# Around the sizes of the kernels: one cell, rows and columns alone, several tiles per class and
# several classes per tile, every window, all pairs kept in shared memory and beyond it (2048).
CALLS = {
    "one cell": DecodeCall((1, 1, 1, 1), 1, 3, 0.5, 1),
    "one cell, many classes": DecodeCall((2, 100, 1, 1), 100, 3, 5.0, 300),
    "one row": DecodeCall((1, 5, 1, 300), 20, 3, 0.5, 50),
    "one column": DecodeCall((1, 3, 700, 1), 20, 3, 0.5, 50, "geometric"),
    "small batch": DecodeCall((3, 2, 7, 9), 10, 3, 0.5, 20),
    "nano": DecodeCall((1, 6, 64, 64), 50, 3, 0.5, 100, "geometric", (4.0, 4.0)),
    "one class, odd": DecodeCall((2, 1, 129, 67), 100, 3, 0.5, 1000, "mean", (3.5, 4.25)),
    "large map": DecodeCall((1, 1, 192, 200), 100, 3, 0.5, 1000),
    "many classes": DecodeCall((1, 40, 33, 31), 100, 3, 0.5, 1000),
    "small planes": DecodeCall((1, 60, 5, 7), 100, 3, 0.5, 300),
    "no suppression": DecodeCall((1, 2, 20, 31), 30, 1, 0.5, 100),
    "window of 5": DecodeCall((1, 2, 40, 33), 30, 5, 0.5, 100, "geometric"),
    "window of 7": DecodeCall((1, 2, 40, 33), 30, 7, 0.5, 100),
    "all pairs": DecodeCall((2, 2, 30, 30), 60, 3, 0.5, 3600),
    "most corners": DecodeCall((1, 3, 60, 60), 512, 1, 9.0, 2500),
    "every cell": DecodeCall((1, 3, 4, 5), 60, 3, 9.0, 200),
}
# How logits are spread: far apart, with plateaus of equal scores, beyond where scores are 1, hardly
# a peak, one flat map.
LOOKS = ("plain", "ties", "saturated", "few", "flat")
# Ties for every call, and one of the other looks in turn.
CASES = {
    f"{name}, {look}": (call, look)
    for i, (name, call) in enumerate(CALLS.items())
    for look in dict.fromkeys(("ties", LOOKS[i % len(LOOKS)]))
}


def make_maps(call: DecodeCall, look: str, seed: int = 0) -> Maps:
    """Return random maps; logits have few decimals, so that scores are equal or clearly not."""
    generator = np.random.default_rng(seed)
    batch, _, height, width = call.shape
    maps = {}
    for name in MAP_NAMES:
        kind = name[3:]
        if kind == "heat":
            maps[name] = _logits(generator, call.shape, look)
        else:
            values = generator.normal(0, 0.3, (batch, CHANNELS[kind], height, width))
            # Few different values: distances of exactly the threshold occur.
            maps[name] = (np.round(values * 8) / 8).astype(np.float32)
    return maps


def _logits(
    generator: np.random.Generator, shape: tuple[int, int, int, int], look: str
) -> np.ndarray:
    spread = {"plain": 2.0, "ties": 3.0, "saturated": 30.0, "few": 1.0, "flat": 0.0}[look]
    steps = 1024 if look == "plain" else 8
    logits = np.round(generator.normal(-1, spread, shape) * steps) / steps
    if look == "few":
        logits = np.where(generator.random(shape) < 2e-3, logits, -200.0)  # its sigmoid is 0
    return logits.astype(np.float32)


def golden_maps(case: str) -> tuple[DecodeCall, Maps]:
    """Return one golden case: what to decode, and how."""
    with np.load(GOLDEN) as data:
        maps = {name: data[f"{case}/{name}"].astype(np.float32) for name in MAP_NAMES}
        top_k, kernel, threshold, num_dets, _ = data[f"{case}/params"].tolist()
    shape = maps["tl_heat"].shape
    return DecodeCall(shape, int(top_k), int(kernel), threshold, int(num_dets)), maps


def expected_rows(call: DecodeCall, maps: Maps) -> Rows:
    """Decode with PyTorch; equal scores in the order of ONNX."""
    with lower_index_first():
        rows = decode_corners(
            {name: torch.from_numpy(value) for name, value in maps.items()},
            call.top_k,
            call.nms_kernel,
            call.ae_threshold,
            call.num_dets,
            pair_score=call.pair_score,
        ).numpy()
    scale = np.float32([*call.scale_xy, *call.scale_xy])
    return Rows(rows[..., :4] * scale, rows[..., 4], rows[..., 7].astype(np.int32), rows[..., 5:7])


@contextlib.contextmanager
def lower_index_first() -> Iterator[None]:
    """Let ``torch.topk`` put the lower index first among equal values."""

    def topk(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
        ordered, indices = torch.sort(values, dim=-1, descending=True, stable=True)
        return ordered[..., :k], indices[..., :k]

    with mock.patch.object(torch, "topk", topk):
        yield


def assert_equal_rows(got: Rows, want: Rows) -> None:
    """Compare all rows, empty ones included; scores may differ by the exponential's last bits."""
    np.testing.assert_allclose(got.scores, want.scores, rtol=1e-6, atol=0)
    np.testing.assert_allclose(got.corner_scores, want.corner_scores, rtol=1e-6, atol=1e-38)
    np.testing.assert_array_equal(got.class_ids, want.class_ids)
    np.testing.assert_array_equal(got.boxes, want.boxes)
