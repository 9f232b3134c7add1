"""Reading the golden data of whole networks, and comparing with it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from runtime.contract import MAP_NAMES
from tests.detectors.deterministic_weights import draw_images

GOLDEN = Path(__file__).parents[1] / "data" / "golden"

# Float32 noise of the reference against float64 is about 3e-6 of the largest value of a map.
MAP_TOLERANCE = 2e-5


def read_state(name: str) -> dict[str, list]:
    """Read a state list: by key without ``module.`` the shape, then sum and first of the filled."""
    text = gzip.decompress((GOLDEN / f"state_{name}.json.gz").read_bytes())
    return {key: rest for key, *rest in json.loads(text)["tensors"]}


def shapes_of(model: nn.Module) -> dict[str, list[int]]:
    """Return every key of a state dict with its shape."""
    return {key: list(value.shape) for key, value in model.state_dict().items()}


def predict(model: nn.Module, size: int) -> dict[str, np.ndarray]:
    """Run a network on the golden square input of this size (seed 9000 + size)."""
    with torch.inference_mode():
        maps: Mapping[str, Tensor] = model(draw_images(9000 + size, (1, 3, size, size)))
    return {name: value.numpy() for name, value in maps.items()}


def assert_maps_golden(
    maps: Mapping[str, np.ndarray],
    network: str,
    size: int,
    names: tuple[str, ...] = MAP_NAMES,
    share_of_largest: float = MAP_TOLERANCE,
) -> None:
    """Compare a network's maps with what the golden file has: full maps, a part, or samples."""
    golden = np.load(GOLDEN / f"net_{network}.npz")
    assert tuple(maps) == names
    for name, got in maps.items():
        key = f"in{size}/{name}"
        assert got.shape == tuple(golden[f"{key}_shape"]), name
        tolerance = share_of_largest * np.abs(got).max()
        if f"{key}_chmean_f64" in golden:
            means = got.astype(np.float64).mean(axis=(0, 2, 3))
            np.testing.assert_allclose(means, golden[f"{key}_chmean_f64"], 0, tolerance, True, name)
        if f"{key}_sample_idx" in golden:
            got_part, want = got.ravel()[golden[f"{key}_sample_idx"]], golden[f"{key}_sample_val"]
        elif f"{key}_every4th_channel" in golden:
            got_part, want = got[:, ::4], golden[f"{key}_every4th_channel"]
        else:
            got_part, want = got, golden[key]
        np.testing.assert_allclose(got_part, want, 0, tolerance, True, name)
