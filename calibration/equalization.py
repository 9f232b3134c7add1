"""Give the channels of a tensor similar ranges, so that its one INT8 scale suits them all.

Activations have one scale per tensor: a channel with a small range uses few of its steps. A channel
may be multiplied by any positive number if its readers divide by it, so small channels are made
larger, at the price of weights with less similar ranges.

Sources: the factors that ReLU lets through are those of Nagel et al., "Data-Free Quantization
Through Weight Equalization and Bias Correction", arXiv:1906.04721, section 4.1; taking them from
activations, and half way, is the idea of Xiao et al., "SmoothQuant", arXiv:2211.10438, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from onnx import ModelProto

from calibration.channel_groups import ChannelGroup, find_channel_groups, scale_channels
from calibration.sessions import Form, open_session, run_error
from export.builder_onnxruntime import ORT_ERRORS
from runtime.errors import CalibrationError

# A factor is this power of a channel's range: 0 changes nothing, 1 makes all ranges the same. On
# nano, with 0, 0.25, 0.5, 0.75 and 1 the maps had 30.2, 30.6, 31.1, 30.8 and 31.0 dB with weights
# per channel, and 29.2, 29.4, 29.8, 28.3 and 25.4 dB with weights per tensor.
POWER = 0.5

# A channel that is almost always 0 must not make its reader's weights fill a grid alone.
LARGEST_FACTOR = 32.0

# Factors are rounded to so many per factor of 2: the last bits of a peak, which may depend on the
# number of threads, must not make another model of which no range is known yet.
PER_OCTAVE = 8


def equalize(
    model: ModelProto,
    samples: Iterable[np.ndarray],
    step: Callable[[], object] = lambda: None,
) -> ModelProto:
    """Return a float model that gives the same results and loses less in INT8.

    Which convolutions run in INT8 does not matter: ranges that were observed on the result serve
    every choice of them.

    Args:
        model: Float; not modified.
        samples: Network inputs, uint8 (N, H, W, 3).
        step: Called after every sample.

    Raises:
        CalibrationError: If the model cannot be run, or a tensor is not finite.
    """
    equalized = ModelProto()
    equalized.CopyFrom(model)
    groups = find_channel_groups(equalized)
    tensors = [name for group in groups for name in group.read_by_convolutions()]
    peaks = observe_channel_peaks(model, tensors, samples, step)
    for group in groups:
        scale_channels(equalized, group, _factors(group, peaks))
    return equalized


def observe_channel_peaks(
    model: ModelProto,
    tensors: Sequence[str],
    samples: Iterable[np.ndarray],
    step: Callable[[], object] = lambda: None,
) -> dict[str, np.ndarray]:
    """Return the largest magnitude of every channel, float64 (C,), by tensor.

    Memory holds one sample's tensors at a time.

    Args:
        model: Float; not modified.
        tensors: Names of tensors (N, C, H, W), each once.
        samples: Network inputs, uint8 (N, H, W, 3).
        step: Called after every sample.

    Raises:
        CalibrationError: If ONNX Runtime cannot run the model, or a tensor is not finite.
    """
    names, peaks = list(tensors), dict[str, np.ndarray]()
    if not names:
        return peaks
    session = open_session(model, Form.PORTABLE, names)
    for number, sample in enumerate(samples, 1):
        try:
            values = session.run(names, {session.get_inputs()[0].name: sample})
        except ORT_ERRORS as error:
            raise run_error(error) from error
        for name, value in zip(names, values, strict=True):
            found = np.abs(value).max(axis=(0, 2, 3)).astype(np.float64)
            if not np.isfinite(found).all():
                raise CalibrationError(
                    f"tensor {name} became infinite or NaN on image {number}; expected finite "
                    "activations; check the weights and the exported model"
                )
            peaks[name] = np.maximum(peaks.get(name, 0.0), found)
        step()
    return peaks


def _factors(group: ChannelGroup, peaks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the factor of every channel, with a geometric mean of 1; dead channels have 1."""
    ranges = np.max([peaks[name] for name in group.read_by_convolutions()], axis=0)
    alive = ranges > 0
    if not alive.any():
        return np.ones(len(ranges))
    middle = np.exp(np.log(ranges[alive]).mean())
    factors = np.where(alive, middle / np.where(alive, ranges, 1.0), 1.0) ** POWER
    factors = np.clip(factors, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    return np.asarray(np.exp2(np.round(np.log2(factors) * PER_OCTAVE) / PER_OCTAVE))
