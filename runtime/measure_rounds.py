"""Several artifacts in turns: a slow minute of the machine meets all of them alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from runtime.journey import FrameSequence, JourneySamples
from runtime.spans import FrameSpans

# Beside others, an artifact's memory has left the caches when its turn comes: so many frames of a
# turn are warm-up.
FRAMES_TO_SETTLE = 2
Result = TypeVar("Result")


@dataclass(frozen=True)
class RoundSettings:
    """How long to measure.

    Attributes:
        count: Frames of each artifact that count, at most; None for no limit.
        seconds: Time for the frames of each artifact; at least one frame of each round counts.
        rounds: Turns of each artifact, at least 1.
        least_s: Time that a turn's frames take at least, and its runs of the network alone, with
            more of them than ``count`` says if need be, but within ``seconds``.
    """

    count: int | None
    seconds: float
    rounds: int
    least_s: float = 0.0

    def frames_of(self, number: int) -> int | None:
        """Return how many frames count in a round, from 0; None for no limit."""
        if self.count is None:
            return None
        return self.count * (number + 1) // self.rounds - self.count * number // self.rounds


@dataclass
class _Collected:
    """What one artifact has given so far."""

    rounds: list[tuple[FrameSpans, ...]] = field(default_factory=list)
    bare_ms: list[float] = field(default_factory=list)


def run_rounds(sequences: Sequence[FrameSequence], settings: RoundSettings) -> list[JourneySamples]:
    """Let artifacts take turns; the first of a round moves on by one from round to round.

    A turn is a block of whole frames, and one of the network alone, as often and as long at most.

    Args:
        sequences: One per artifact, warmed up.
        settings: How long.

    Raises:
        CornerRTError: If a picture cannot be read, or a stage fails.
    """
    collected = [_Collected() for _ in sequences]
    settle = FRAMES_TO_SETTLE if len(sequences) > 1 else 0
    try:
        for number in range(settings.rounds):
            _show_progress(number, settings.rounds)
            for turn in range(len(sequences)):
                index = (number + turn) % len(sequences)
                _take_turn(sequences[index], settings, number, settle, collected[index])
    finally:
        _show_progress(settings.rounds, settings.rounds)  # an error has the line for itself
    return [JourneySamples(tuple(own.rounds), tuple(own.bare_ms)) for own in collected]


def _take_turn(
    sequence: FrameSequence, settings: RoundSettings, number: int, settle: int, own: _Collected
) -> None:
    most = settings.frames_of(number)
    if most == 0:  # fewer frames than rounds
        return
    limits = _Limits(most, settings.least_s, settings.seconds / settings.rounds)
    frames = [sequence.next_frame(True) for _ in range(settle)]
    # On a machine that is shared, who comes second gets less of it: they change places.
    bare_comes_first = number % 2 == 1
    if bare_comes_first:
        own.bare_ms += _repeat(sequence.bare_network_ms, limits)
    frames += _repeat(sequence.next_frame, limits)
    own.rounds.append(tuple(frames))
    if not bare_comes_first:
        own.bare_ms += _repeat(sequence.bare_network_ms, limits)


@dataclass(frozen=True)
class _Limits:
    """How often something is done in one turn.

    Attributes:
        most: Times; None for no limit.
        least_s: Until then it is done, even more often than that.
        most_s: From then on it is not.
    """

    most: int | None
    least_s: float
    most_s: float

    def is_over(self, times: int, seconds: float) -> bool:
        """Say whether it has been done often or long enough."""
        is_enough = self.most is not None and times >= self.most and seconds >= self.least_s
        return is_enough or seconds >= self.most_s


def _repeat(action: Callable[[], Result], limits: _Limits) -> list[Result]:
    """Return an action's results: one at least, until there are enough or time is up."""
    started_at = time.monotonic()
    results = [action()]
    while not limits.is_over(len(results), time.monotonic() - started_at):
        results.append(action())
    return results


def _show_progress(done: int, total: int) -> None:
    """Keep one line of a terminal up to date, and clear it at the end; silent elsewhere."""
    if sys.stderr.isatty():
        text = f"round {done + 1} of {total}" if done < total else ""
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
