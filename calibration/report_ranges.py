"""Observed ranges for the report: what each clipping threshold cuts off, and how coarse it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from calibration.histograms import MagnitudeHistogram
from calibration.weights import INT8_MAX
from export.int8_on_cpu import RANGES_KEY
from runtime.errors import CalibrationError

BARS = 48  # of a small histogram


@dataclass(frozen=True, eq=False)
class RangeView:
    """One tensor's observed magnitudes beside its chosen threshold.

    Attributes:
        tensor: Name of the tensor.
        threshold: The magnitude that INT8's largest value stands for.
        peak: Largest magnitude seen.
        counts: int64 (BARS,), values in equal steps from 0 to ``limit``.
        limit: The larger of peak and threshold: where the picture ends.
        clipped: Share of the values above the threshold, in [0, 1].
        sqnr_db: Signal to quantization noise on the observed values, in decibels; infinite where
            nothing was seen but zeros.
    """

    tensor: str
    threshold: float
    peak: float
    counts: np.ndarray
    limit: float
    clipped: float
    sqnr_db: float


def thresholds_of(model: ModelProto) -> dict[str, float]:
    """Return the clipping thresholds that the calibration noted in a model; empty for others."""
    for entry in model.metadata_props:
        if entry.key == RANGES_KEY:
            thresholds: dict[str, float] = json.loads(entry.value)
            return thresholds
    return {}


def view_ranges(
    histograms: Mapping[str, MagnitudeHistogram], thresholds: Mapping[str, float]
) -> list[RangeView]:
    """Return a view of every tensor that has both, the noisiest first.

    Args:
        histograms: What was observed, by tensor.
        thresholds: What was chosen, by tensor.

    Raises:
        CalibrationError: If they have no tensor in common: the file is of another model.
    """
    shared = [name for name in thresholds if name in histograms]
    if not shared:
        raise CalibrationError(
            f"the ranges are of {len(histograms)} tensors, none of which the INT8 model quantizes; "
            "expected those it was calibrated with; give its own file with --ranges"
        )
    views = [_view(name, histograms[name], thresholds[name]) for name in shared]
    return sorted(views, key=lambda view: view.sqnr_db)


def _view(tensor: str, histogram: MagnitudeHistogram, threshold: float) -> RangeView:
    values, counts = histogram.centers(), histogram.counts
    total = max(1, int(counts.sum()))
    limit = max(histogram.peak, threshold)
    # The middle of the last bin in use may lie beyond the peak.
    drawn = np.minimum(values, limit)
    bars = np.histogram(drawn, BARS, (0.0, limit), weights=counts)[0].astype(np.int64)
    # The bin that holds the threshold counts as inside: under min-max ranges it holds the peak.
    beyond = np.arange(len(counts)) * (histogram.limit / len(counts)) > threshold
    clipped = float(counts[beyond].sum()) / total
    return RangeView(
        tensor, threshold, histogram.peak, bars, limit, clipped, _sqnr_db(histogram, threshold)
    )


def _sqnr_db(histogram: MagnitudeHistogram, threshold: float) -> float:
    """Return signal over noise; bin 0 holds the zeros of ReLU, which are exact."""
    values, counts = histogram.centers()[1:], histogram.counts[1:]
    step = threshold / INT8_MAX
    restored = np.minimum(np.rint(values / step), INT8_MAX) * step
    signal, noise = counts @ np.square(values), counts @ np.square(values - restored)
    return float(10 * np.log10(signal / noise)) if noise > 0 else float("inf")
