"""What corner pooling is tested on, for the kernels on the CPU and on a GPU alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plugins.kernel_doors import FeatureMap, Layout, NumberType
from plugins.reference import WALKS, Direction

DIRECTIONS: tuple[Direction, ...] = tuple(WALKS)  # type: ignore[arg-type]
DTYPES = {NumberType.FLOAT: np.float32, NumberType.HALF: np.float16, NumberType.INT8: np.int8}
# Number types in the layouts that the plugin offers.
OFFERED = (
    (NumberType.FLOAT, Layout.LINEAR),
    (NumberType.HALF, Layout.LINEAR),
    (NumberType.HALF, Layout.HWC),
    (NumberType.HALF, Layout.HWC8),
    (NumberType.INT8, Layout.LINEAR),
    (NumberType.INT8, Layout.CHW32),
)
# Around the kernels' sizes: packs of 16 and 4 bytes and single numbers, 8, 16 and 32 lanes to a
# row, one and several rounds over long rows and columns (64 steps), channels that need padding.
SHAPES = (
    (1, 1, 1, 1),
    (2, 3, 1, 31),
    (1, 2, 31, 1),
    (3, 2, 5, 32),
    (1, 3, 33, 33),
    (1, 33, 9, 16),
    (2, 2, 7, 64),
    (1, 40, 9, 8),
    (1, 2, 3, 128),
    (1, 1, 2, 1030),
    (1, 1, 1, 2064),
    (1, 1, 1027, 2),
    (64, 1, 2, 4),
    (1, 1, 70, 132),
)


@dataclass(frozen=True)
class Case:
    """A tensor to pool.

    Attributes:
        features: Shape, number type and layout.
        values: The tensor as (N, C, H, W), with a few extreme values in it.
    """

    features: FeatureMap
    values: np.ndarray


def make_case(number_type: NumberType, layout: Layout, shape: tuple[int, int, int, int]) -> Case:
    """Return numbers that often repeat, with the extremes of their type strewn in."""
    generator = np.random.default_rng([*shape, int(number_type)])
    dtype = DTYPES[number_type]
    values = generator.integers(-100, 100, size=shape).astype(dtype)
    if number_type is NumberType.INT8:
        extremes = np.array([-128, 127, 0], dtype)
    else:
        extremes = np.array([np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max], dtype)
    places = generator.random(shape) < 0.01
    values[places] = generator.choice(extremes, size=int(places.sum()))
    return Case(FeatureMap(shape, number_type, layout), values)


def pack(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Return an (N, C, H, W) tensor's numbers in the order of a layout; padding is zero."""
    if layout is Layout.LINEAR:
        return np.ascontiguousarray(values)
    multiple = {Layout.HWC: 1, Layout.HWC8: 8, Layout.CHW32: 32}[layout]
    batch, channels, height, width = values.shape
    padded = np.zeros((batch, -channels % multiple + channels, height, width), values.dtype)
    padded[:, :channels] = values
    if layout is not Layout.CHW32:
        return np.ascontiguousarray(padded.transpose(0, 2, 3, 1))
    groups = padded.reshape(batch, -1, 32, height, width)
    return np.ascontiguousarray(groups.transpose(0, 1, 3, 4, 2))


def unpack(packed: np.ndarray, features: FeatureMap) -> np.ndarray:
    """Return the (N, C, H, W) tensor that ``pack`` packed."""
    batch, channels, height, width = features.shape
    if features.layout is Layout.LINEAR:
        return packed.reshape(features.shape)
    if features.layout is not Layout.CHW32:
        return packed.reshape(batch, height, width, -1).transpose(0, 3, 1, 2)[:, :channels]
    groups = packed.reshape(batch, -1, height, width, 32).transpose(0, 1, 4, 2, 3)
    return groups.reshape(batch, -1, height, width)[:, :channels]
