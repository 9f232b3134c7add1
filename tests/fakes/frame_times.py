"""Frame times as a busy machine gives them: correlated, by rounds, with a heavy tail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FrameTimes:
    """Times around 10 ms whose logarithms have three parts, and spikes on top.

    Attributes:
        shared: Standard deviation of what all artifacts of a round meet: a neighbour, a clock.
        own: The same of what one artifact's turn meets.
        drift: Of the steps of an AR(1) series with coefficient 0.8 within a turn.
        spikes: Share of the frames with a spike.
        tail: Index of the spikes' Pareto distribution; from 2 on its variance is infinite.
        median_ms: Of a frame on an idle machine.
    """

    shared: float = 0.1
    own: float = 0.05
    drift: float = 0.03
    spikes: float = 0.03
    tail: float = 2.5
    median_ms: float = 10.0

    def rounds(
        self, rng: np.random.Generator, rounds: int, frames: int, shared: np.ndarray | None = None
    ) -> list[list[float]]:
        """Return one artifact's milliseconds by round.

        Args:
            rng: Where chance comes from.
            rounds: How many.
            frames: In each.
            shared: float64 (rounds, 1): what others meet as well; drawn if None.
        """
        if shared is None:
            shared = rng.normal(0, self.shared, (rounds, 1))
        steps = rng.normal(0, self.drift, (rounds, frames))
        drift = np.zeros_like(steps)
        for frame in range(frames):
            drift[:, frame] = 0.8 * drift[:, frame - 1] + steps[:, frame]
        logarithm = shared + rng.normal(0, self.own, (rounds, 1)) + drift
        logarithm += rng.normal(0, 0.05, (rounds, frames))
        spike = (rng.random((rounds, frames)) < self.spikes) * rng.pareto(
            self.tail, (rounds, frames)
        )
        times: list[list[float]] = (self.median_ms * np.exp(logarithm) * (1 + spike)).tolist()
        return times

    def pair(
        self, rng: np.random.Generator, rounds: int, frames: int, other: FrameTimes | None = None
    ) -> tuple[list[list[float]], list[list[float]]]:
        """Return two artifacts that took turns; ``other`` is the second's nature."""
        shared = rng.normal(0, self.shared, (rounds, 1))
        return (
            self.rounds(rng, rounds, frames, shared),
            (other or self).rounds(rng, rounds, frames, shared),
        )
