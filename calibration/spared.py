"""Convolutions that are not worth INT8: much noise for few operations.

In ``cornernet-nano`` one convolution of 53 makes a quarter to a half of the noise in the maps: it
reads the stem's 24 channels, whose largest values are rare and far away. It has 3 % of the
operations.
"""

from __future__ import annotations

from collections.abc import Mapping

from calibration.meters import Meter
from calibration.operations import multiply_adds
from calibration.quantize import Quantizable
from calibration.quantize_rules import Placement
from calibration.sensitivity_trials import Trials

# What the return of a convolution to float must gain: a tenth less noise is 0.46 dB.
LEAST_GAIN_DB = 0.5
# Share of the modelled operations that may leave INT8, in percent.
MOST_OPERATIONS_PERCENT = 5.0


def choose_spared(source: Quantizable, placement: Placement, meter: Meter) -> frozenset[str]:
    """Return the convolutions to leave in float for the sake of the others.

    Args:
        source: The float model with its ranges.
        placement: Which convolutions may run in INT8.
        meter: Measures the noise of the maps, in dB; asked once for each convolution.

    Raises:
        CalibrationError: If the model cannot be run.
    """
    trials = Trials(source, placement, meter)
    gains = {part.name: trials.value(part.nodes) - trials.value() for part in trials.nodes}
    spared = _affordable(gains, multiply_adds(source.model))
    return frozenset() if spared >= trials.everything else spared


def _affordable(gains: Mapping[str, float], operations: Mapping[str, int]) -> frozenset[str]:
    """Take those that gain most until the operations are spent; too large ones are passed over."""
    left = MOST_OPERATIONS_PERCENT / 100 * sum(operations.values())
    spared = set()
    for name in sorted(gains, key=lambda name: -gains[name]):
        if gains[name] >= LEAST_GAIN_DB and operations[name] <= left:
            spared.add(name)
            left -= operations[name]
    return frozenset(spared)
