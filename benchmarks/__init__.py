"""Timed comparisons; each prints ratios and writes JSON with the machine's facts."""
