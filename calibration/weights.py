"""Convolution weights on the INT8 grid: one scale per output channel, or one for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

INT8_MAX = 127


class Granularity(Enum):
    """How many scales a convolution's weights have."""

    PER_CHANNEL = "per-channel"
    PER_TENSOR = "per-tensor"


class WeightMethod(Enum):
    """How a weight scale is chosen."""

    MAX = "max"
    MSE = "mse"


@dataclass(frozen=True)
class WeightOptions:
    """How weights are rounded.

    Attributes:
        granularity: One scale per output channel, or one per convolution.
        method: The largest magnitude, or the scale with the least squared error.
    """

    granularity: Granularity = Granularity.PER_CHANNEL
    method: WeightMethod = WeightMethod.MAX


DEFAULT_WEIGHTS = WeightOptions()


@dataclass(frozen=True)
class QuantizedWeights:
    """Weights on their grid.

    Attributes:
        values: int8, the shape of the float weights, in [-127, 127].
        scales: float32, (channels,) or () for one scale.
        axis: Axis of the output channels: 0 for Conv, 1 for ConvTranspose.
    """

    values: np.ndarray
    scales: np.ndarray
    axis: int

    def dequantized(self) -> np.ndarray:
        """Return the float32 weights that the integers stand for."""
        shape = [1] * self.values.ndim
        if self.scales.ndim:
            shape[self.axis] = -1
        return np.asarray(self.values * self.scales.reshape(shape), np.float32)


def weight_scales(weights: np.ndarray, axis: int, options: WeightOptions) -> np.ndarray:
    """Return positive scales, float32, (channels,) or ().

    Args:
        weights: Convolution weights, 4-D float.
        axis: Axis of the output channels: 0 for Conv, 1 for ConvTranspose.
        options: How many, and how they are chosen.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    everything = options.granularity is Granularity.PER_TENSOR
    peaks = np.abs(weights).max(axis=None if everything else others).astype(np.float32)
    return np.asarray(np.where(peaks > 0, peaks / np.float32(INT8_MAX), np.float32(1)), np.float32)


def round_weights(weights: np.ndarray, axis: int, options: WeightOptions) -> QuantizedWeights:
    """Round weights to the nearest point of their grid, halves to even."""
    scales = weight_scales(weights, axis, options)
    shape = [1] * weights.ndim
    if scales.ndim:
        shape[axis] = -1
    steps = np.clip(np.rint(weights / scales.reshape(shape)), -INT8_MAX, INT8_MAX)
    return QuantizedWeights(np.asarray(steps, np.int8), scales, axis)
