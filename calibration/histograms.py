"""Histogram of an activation's magnitudes, in constant memory however much is counted."""

from __future__ import annotations

import numpy as np

# Growing doubles the range, so between half and all of the bins are in use: at least 32 bins per
# INT8 step, enough to compare clipping thresholds.
BINS = 8192
# Values counted at once: large against the bins, small enough to stay in a processor's cache.
BLOCK = 1 << 17
# Smaller than anything that float32 can scale by BINS; ranges begin here.
SMALLEST_LIMIT = 2.0**-100


class MagnitudeHistogram:
    """Histogram of absolute values whose range grows with the data; its memory stays the same.

    The range is a power of two, so growing merges whole bins and loses nothing that a histogram
    begun with the larger range would have kept.

    Attributes:
        counts: int64 (BINS,), number of values per bin; bin i covers [i, i + 1) * limit / BINS.
        limit: Upper border of the last bin; 0 until a value other than zero was seen.
        peak: Largest magnitude seen.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.limit = 0.0
        self.peak = 0.0

    def add(self, values: np.ndarray) -> None:
        """Count every value.

        Raises:
            ValueError: If a value is infinite or not a number.
        """
        if values.size == 0:
            return
        lowest, highest = float(values.min()), float(values.max())
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise ValueError("values must be finite")
        peak = max(-lowest, highest)
        self._grow_to(peak)
        scale = np.float32(BINS / self.limit) if self.limit else np.float32(0)
        flat = values.reshape(-1)
        for start in range(0, flat.size, BLOCK):
            magnitudes = np.abs(flat[start : start + BLOCK], dtype=np.float32)
            magnitudes *= scale
            counts = np.bincount(magnitudes.astype(np.intp), minlength=BINS + 1)
            self.counts += counts[:BINS]
            self.counts[-1] += counts[BINS]  # on the upper border: in the last bin
        self.peak = max(self.peak, peak)

    def centers(self) -> np.ndarray:
        """Return the middle of every bin, float64 (BINS,)."""
        return (np.arange(BINS) + 0.5) * (self.limit / BINS)

    def _grow_to(self, peak: float) -> None:
        if peak > 0 and self.limit == 0:
            self.limit = max(SMALLEST_LIMIT, float(2.0 ** np.ceil(np.log2(peak))))
        while peak > self.limit:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros_like(merged)])
            self.limit *= 2
