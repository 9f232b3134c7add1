"""Convolution weights on the INT8 grid: one scale per output channel, or one for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

INT8_MAX = 127

# Scales the MSE method tries, as shares of the one that clips nothing, which is tried first: half
# a step of the grid apart. No row of 16 to 4608 normal or outlier weights wanted less than 0.95.
MSE_SHARES = np.linspace(0.996, 0.8, 50)
FLOAT32: np.dtype[Any] = np.dtype(np.float32)


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
        scale_dtype: Float type in which all scales will be stored, those of activations too;
            float16 for an FP16 base. Scales are rounded to it before the weights are, so that
            nothing is rounded twice.
    """

    granularity: Granularity = Granularity.PER_CHANNEL
    method: WeightMethod = WeightMethod.MAX
    scale_dtype: np.dtype[Any] = FLOAT32


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
    """Return positive scales that the type of ``options`` holds, float32, (channels,) or ().

    Args:
        weights: Convolution weights, float, any number of dimensions.
        axis: Axis of the output channels: 0 for Conv, 1 for ConvTranspose.
        options: How many, how they are chosen, and in which type they will be stored.
    """
    rows = _rows(np.asarray(weights, np.float32), axis, options.granularity)
    peaks = np.abs(rows).max(axis=1)
    largest = np.where(peaks > 0, peaks / np.float32(INT8_MAX), np.float32(1))
    scales = storable_scale(largest, options.scale_dtype)
    if options.method is WeightMethod.MSE:
        scales = _least_squares(rows, scales, options)
    per_tensor = options.granularity is Granularity.PER_TENSOR
    return scales.reshape(()) if per_tensor else scales


def storable_scale(scales: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Round positive scales to the type that will hold them; none is below its normal range.

    Args:
        scales: Of weights or activations, any shape.
        dtype: Float type in which they will be stored.

    Returns:
        float32, the same shape.
    """
    smallest = np.finfo(dtype).smallest_normal
    stored = np.maximum(scales, np.float32(smallest)).astype(dtype)
    return np.asarray(stored, np.float32)


def round_weights(weights: np.ndarray, axis: int, options: WeightOptions) -> QuantizedWeights:
    """Round weights to the nearest point of their grid, halves to even.

    Args:
        weights: Convolution weights, float, any number of dimensions.
        axis: Axis of the output channels: 0 for Conv, 1 for ConvTranspose.
        options: How the grid is chosen.
    """
    scales = weight_scales(weights, axis, options)
    shape = [1] * weights.ndim
    if scales.ndim:
        shape[axis] = -1
    steps = np.clip(np.rint(weights / scales.reshape(shape)), -INT8_MAX, INT8_MAX)
    return QuantizedWeights(np.asarray(steps, np.int8), scales, axis)


def _rows(weights: np.ndarray, axis: int, granularity: Granularity) -> np.ndarray:
    """Return the weights as a matrix with one row per scale."""
    if granularity is Granularity.PER_TENSOR:
        return weights.reshape(1, -1)
    return np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)


def _least_squares(rows: np.ndarray, largest: np.ndarray, options: WeightOptions) -> np.ndarray:
    """Return per row the share of the largest scale with the least squared error."""
    best, least = largest, _squared_errors(rows, largest)
    for share in MSE_SHARES:
        scales = storable_scale(largest * np.float32(share), options.scale_dtype)
        errors = _squared_errors(rows, scales)
        better = errors < least
        best, least = np.where(better, scales, best), np.where(better, errors, least)
    return best


def _squared_errors(rows: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return the summed squared error of rounding each row to its grid, float64."""
    column = scales[:, None]
    steps = np.rint(rows / column)
    np.clip(steps, -INT8_MAX, INT8_MAX, out=steps)
    steps *= column
    steps -= rows
    return np.asarray(np.square(steps, out=steps).sum(axis=1, dtype=np.float64))
