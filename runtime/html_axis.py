"""Axes of charts: where a value lies, and which numbers to write."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

# Steps on an axis: as many as have room on a phone.
MOST_TICKS = 6
FEWEST_TICKS = 3
STEPS = (1.0, 2.0, 5.0)


class Scale(enum.Enum):
    """How values are spread on an axis."""

    LINEAR = "linear"
    LOGARITHMIC = "logarithmic"


@dataclass(frozen=True)
class Axis:
    """Values from the left to the right.

    Attributes:
        lowest: Value at the left; above zero on a logarithmic axis.
        highest: Value at the right, above ``lowest``.
        scale: How values are spread.

    Raises:
        ValueError: On creation, if the ends are not in order or a logarithm does not exist.
    """

    lowest: float
    highest: float
    scale: Scale = Scale.LINEAR

    def __post_init__(self) -> None:
        """Refuse ends that span nothing."""
        is_logarithmic = self.scale is Scale.LOGARITHMIC
        if not self.lowest < self.highest or (is_logarithmic and self.lowest <= 0):
            raise ValueError(
                f"got an axis from {self.lowest:g} to {self.highest:g}; expected ends in order, "
                "above zero on a logarithmic one"
            )

    def place(self, value: float) -> float:
        """Return where a value lies, in percent; what lies beyond an end is put there."""
        inside = min(max(value, self.lowest), self.highest)
        if self.scale is Scale.LINEAR:
            return 100 * (inside - self.lowest) / (self.highest - self.lowest)
        return 100 * math.log(inside / self.lowest) / math.log(self.highest / self.lowest)

    def ticks(self) -> tuple[float, ...]:
        """Return round values to write, two to seven of them, in order."""
        if self.scale is Scale.LOGARITHMIC:
            for steps in (STEPS, STEPS[:1]):
                found = self._log_ticks(steps)
                if FEWEST_TICKS <= len(found) <= MOST_TICKS:
                    return found
            if len(found) > MOST_TICKS:  # many powers of ten: an even selection
                return found[:: math.ceil(len(found) / MOST_TICKS)]
        return self._even_ticks()

    def _log_ticks(self, steps: tuple[float, ...]) -> tuple[float, ...]:
        decades = range(
            math.floor(math.log10(self.lowest)), math.ceil(math.log10(self.highest)) + 1
        )
        return self._inside([step * 10.0**decade for decade in decades for step in steps])

    def _even_ticks(self) -> tuple[float, ...]:
        """Return values at equal steps of 1, 2 or 5 times a power of ten."""
        finest = (self.highest - self.lowest) / MOST_TICKS
        decade = 10.0 ** math.floor(math.log10(finest))
        step = next(s * decade for s in (*STEPS, 10.0) if s * decade >= finest)
        first = math.ceil(self.lowest / step)
        return self._inside([(first + i) * step for i in range(MOST_TICKS + 1)])

    def _inside(self, values: list[float]) -> tuple[float, ...]:
        # A rounding error must not cost the number at an end.
        slack = 1e-9 * (self.highest - self.lowest)
        return tuple(v for v in values if self.lowest - slack <= v <= self.highest + slack)
