"""From a histogram of magnitudes to the one number symmetric INT8 needs: the clipping threshold.

Symmetric INT8 stores ``round(x / scale)`` in [-127, 127] with ``scale = threshold / 127``. A small
threshold clips outliers; a large one makes every step coarse. The methods differ in that trade.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from calibration.observers import MagnitudeHistogram
from calibration.weights import INT8_MAX

# Keeps all but one value in 100 000; 99.99 lost 0.03 AP on a small CornerNet in one trial, since
# its sparse peaks are what corners are made of.
PERCENTILE = 99.999

# Thresholds the MSE method tries, as shares of the largest magnitude.
MSE_SHARES = np.linspace(0.2, 1.0, 81)


class RangeMethod(Enum):
    """How the clipping threshold of an activation is chosen."""

    MSE = "mse"
    PERCENTILE = "percentile"
    MINMAX = "minmax"


def choose_threshold(histogram: MagnitudeHistogram, method: RangeMethod) -> float:
    """Return the magnitude that INT8's largest value stands for; always positive.

    Args:
        histogram: What was observed.
        method: ``MSE`` minimises the mean squared error of quantizing the observed values,
            ``PERCENTILE`` keeps ``PERCENTILE`` percent of them, ``MINMAX`` keeps all.
    """
    if histogram.peak == 0:
        return 1.0  # a tensor of zeros: every scale is exact
    if method is RangeMethod.MINMAX:
        return histogram.peak
    if method is RangeMethod.PERCENTILE:
        return _percentile(histogram)
    return _least_squares(histogram)


def scale_of(threshold: float) -> float:
    """Return the INT8 scale of a threshold."""
    return threshold / INT8_MAX


def _percentile(histogram: MagnitudeHistogram) -> float:
    """Return the upper border of the bin in which the percentile lies, at most the peak."""
    wanted = histogram.counts.sum() * (PERCENTILE / 100)
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
