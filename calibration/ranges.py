"""From a histogram of magnitudes to the one number symmetric INT8 needs: the clipping threshold.

Symmetric INT8 stores ``round(x / scale)`` in [-127, 127] with ``scale = threshold / 127``. A small
threshold clips outliers; a large one makes every step coarse. The methods differ in that trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

import numpy as np

from calibration.histograms import MagnitudeHistogram
from calibration.weights import INT8_MAX

# Keeps all but one value in 100 000; 99.99 lost 0.03 AP on a small CornerNet in one trial, since
# its sparse peaks are what corners are made of.
PERCENTILE = 99.999

# Thresholds the MSE method tries, as shares of the largest magnitude. Below 0.05 a histogram has
# fewer than two bins per INT8 step, and no tensor of a trained network came near that.
MSE_SHARES = np.concatenate(
    [np.geomspace(0.05, 0.2, 20, endpoint=False), np.linspace(0.2, 1.0, 81)]
)

# The entropy method looks at a coarser histogram, as TensorRT does: with few images, finer bins
# would hold more noise than shape. Both numbers are those of Migacz's talk.
ENTROPY_BINS = 2048
ENTROPY_LEVELS = 128

# float32 has no normal scale below this; a tensor this quiet is as good as zero.
SMALLEST_THRESHOLD = 1e-30


class RangeMethod(Enum):
    """How the clipping threshold of an activation is chosen."""

    MSE = "mse"
    ENTROPY = "entropy"
    PERCENTILE = "percentile"
    MINMAX = "minmax"


def choose_threshold(
    histogram: MagnitudeHistogram, method: RangeMethod, percentile: float = PERCENTILE
) -> float:
    """Return the magnitude that INT8's largest value stands for; always positive.

    Args:
        histogram: What was observed.
        method: ``MSE`` minimises the mean squared error of quantizing the observed values,
            ``ENTROPY`` the Kullback-Leibler divergence of their distribution, ``PERCENTILE`` keeps
            a percentage of them, ``MINMAX`` keeps all.
        percentile: What ``PERCENTILE`` keeps, above 0 and up to 100.
    """
    if histogram.peak == 0:
        return 1.0  # a tensor of zeros: every scale is exact
    if method is RangeMethod.MINMAX:
        threshold = histogram.peak
    elif method is RangeMethod.PERCENTILE:
        threshold = _percentile(histogram, percentile)
    elif method is RangeMethod.ENTROPY:
        threshold = _least_divergence(histogram)
    else:
        threshold = _least_squares(histogram)
    return max(threshold, SMALLEST_THRESHOLD)


def thresholds_by_method(
    histograms: Mapping[str, MagnitudeHistogram],
    methods: Iterable[RangeMethod] = tuple(RangeMethod),
    percentile: float = PERCENTILE,
) -> dict[RangeMethod, dict[str, float]]:
    """Return what several methods choose for each tensor, from one pass over the images."""
    return {
        method: {name: choose_threshold(h, method, percentile) for name, h in histograms.items()}
        for method in methods
    }


def scale_of(threshold: float) -> float:
    """Return the INT8 scale of a threshold."""
    return threshold / INT8_MAX


def _percentile(histogram: MagnitudeHistogram, percentile: float) -> float:
    """Return the upper border of the bin in which the percentile lies, at most the peak."""
    wanted = histogram.counts.sum() * (percentile / 100)
    index = int(np.searchsorted(np.cumsum(histogram.counts), wanted))
    return min(histogram.peak, (index + 1) * histogram.limit / len(histogram.counts))


def _least_squares(histogram: MagnitudeHistogram) -> float:
    """Return the share of the peak with the least squared error over all counted values."""
    used = np.flatnonzero(histogram.counts)
    used = used[used > 0]  # bin 0 holds the zeros of ReLU: exact under every threshold
    if used.size == 0:
        return histogram.peak
    values, counts = histogram.centers()[used], histogram.counts[used]
    thresholds = histogram.peak * MSE_SHARES
    errors = []
    for threshold in thresholds:
        scale = scale_of(threshold)
        restored = np.minimum(np.rint(values / scale), INT8_MAX) * scale
        errors.append(float(counts @ np.square(values - restored)))
    return float(thresholds[int(np.argmin(errors))])


def _least_divergence(histogram: MagnitudeHistogram) -> float:
    """Return the threshold under which the distribution keeps its shape best.

    Source: Migacz, "8-bit Inference with TensorRT", GTC 2017: of every candidate, the clipped
    distribution P (outliers added to its last bin) is compared with Q, the same without outliers,
    whose mass is spread evenly over the bins of each of 128 levels that were not empty.
    """
    counts = _density(histogram)
    if not counts.any():
        return histogram.peak
    # Where a last bin is empty, the next lower candidate clips the same values with finer steps.
    kept = np.flatnonzero(counts) + 1
    candidates = kept[kept >= ENTROPY_LEVELS] if kept[-1] >= ENTROPY_LEVELS else kept[-1:]
    best = int(candidates[np.argmin(_divergences(counts, candidates))])
    return min(histogram.peak, best * histogram.limit / ENTROPY_BINS)


def _density(histogram: MagnitudeHistogram) -> np.ndarray:
    """Return the counts in ENTROPY_BINS bins, without the zeros that a ReLU left.

    Zeros are exact under every threshold, but as the tallest peak of all they would decide alone.
    They share the first bin with the smallest values, so that one is taken to be as full as the
    second.
    """
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]
    return np.asarray(counts.reshape(ENTROPY_BINS, -1).sum(axis=1))


def _divergences(counts: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return KL(P || Q) of every candidate, float64 (n,).

    All sums over a level's bins are differences of running sums, so a candidate costs as much as
    its 128 levels, not as its bins.

    Args:
        counts: float64 (ENTROPY_BINS,).
        candidates: Number of bins that each candidate keeps, int64 (n,); its last bin not empty.
    """
    mass = np.concatenate([[0.0], np.cumsum(counts)])
    filled = np.concatenate([[0], np.cumsum(counts > 0)])
    own_logs = np.concatenate([[0.0], np.cumsum(_times_log(counts, counts))])
    borders = np.arange(ENTROPY_LEVELS + 1) * candidates[:, None] // ENTROPY_LEVELS
    level_mass = np.diff(mass[borders], axis=1)
    level_bins = np.diff(filled[borders], axis=1)
    spread = level_mass / np.maximum(level_bins, 1)
    inside, total = mass[candidates], mass[-1]
    outliers = total - inside
    last = counts[candidates - 1] + outliers
    log_p = own_logs[candidates - 1] + _times_log(last, last)
    log_q = _times_log(level_mass, spread).sum(axis=1) + _times_log(outliers, spread[:, -1])
    return np.asarray((log_p - log_q) / total + np.log(inside / total))


def _times_log(factor: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return ``factor * log(value)``, 0 where ``value`` is 0, as the limit is."""
    return np.asarray(factor * np.log(np.where(value > 0, value, 1.0)))
