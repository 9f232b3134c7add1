"""Turns of several artifacts: their order, lengths and what counts."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from runtime.errors import SourceError
from runtime.measure_rounds import FRAMES_TO_SETTLE, RoundSettings, run_rounds
from runtime.spans import FrameSpans


class FakeSequence:
    """Counts its frames, and notes turns in a log that others share."""

    def __init__(self, name: str, log: list[str], delay_s: float = 0.0) -> None:
        self._name = name
        self._log = log
        self._delay_s = delay_s
        self._count = 0

    def next_frame(self, is_warmup: bool = False) -> FrameSpans:
        time.sleep(self._delay_s)
        self._log.append(f"{self._name}{'w' if is_warmup else ''}")
        self._count += 1
        return FrameSpans(self._count - 1, is_warmup, (), 0, 1)

    def bare_network_ms(self) -> float:
        time.sleep(self._delay_s)
        self._log.append(f"{self._name}b")
        return 1.0


def run(names: str, settings: RoundSettings, delay_s: float = 0.0) -> tuple[list[Any], list[str]]:
    log: list[str] = []
    sequences: list[Any] = [FakeSequence(name, log, delay_s) for name in names]
    return run_rounds(sequences, settings), log


def test_one_artifact_alternates_between_frames_and_the_bare_network() -> None:
    (samples,), log = run("a", RoundSettings(4, 60.0, 2))
    assert log == ["a", "a", "ab", "ab", "ab", "ab", "a", "a"]  # they change places
    assert [len(round_) for round_ in samples.rounds] == [2, 2]
    assert len(samples.bare_ms) == 4


def test_who_begins_moves_on_and_each_turn_settles_first() -> None:
    _, log = run("abc", RoundSettings(3, 60.0, 3))
    turns = [name for name in log if len(name) == 1]
    assert turns == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert log[: FRAMES_TO_SETTLE + 2] == ["aw", "aw", "a", "ab"]


def test_frames_to_settle_are_kept_as_warmup() -> None:
    (samples, _), _ = run("ab", RoundSettings(4, 60.0, 2))
    assert [frame.is_warmup for frame in samples.rounds[0]] == [True, True, False, False]
    assert [len(round_) for round_ in samples.counted_rounds] == [2, 2]


def test_a_count_is_met_exactly_and_spread_evenly() -> None:
    (samples,), _ = run("a", RoundSettings(25, 60.0, 10))
    sizes = [len(round_) for round_ in samples.rounds]
    assert sum(sizes) == 25 and set(sizes) == {2, 3}


def test_fewer_frames_than_rounds_leave_rounds_out() -> None:
    (samples,), log = run("a", RoundSettings(3, 60.0, 10))
    assert len(samples.rounds) == 3 and len(log) == 6


def test_time_ends_a_round_after_one_frame_at_least() -> None:
    (samples,), _ = run("a", RoundSettings(1000, 0.03, 3), delay_s=0.02)
    assert [len(round_) for round_ in samples.rounds] == [1, 1, 1]
    assert len(samples.bare_ms) == 3


def test_a_turn_that_is_too_short_gets_more_frames_and_runs() -> None:
    (samples,), _ = run("a", RoundSettings(2, 60.0, 2, least_s=0.05), delay_s=0.01)
    assert all(3 <= len(round_) <= 5 for round_ in samples.rounds)
    assert len(samples.bare_ms) > 4
    (samples,), _ = run("a", RoundSettings(20, 60.0, 2, least_s=0.01), delay_s=0.002)
    assert [len(round_) for round_ in samples.rounds] == [10, 10]


def test_no_turn_is_longer_than_its_share_of_the_time() -> None:
    (samples,), _ = run("a", RoundSettings(2, 0.06, 2, least_s=60.0), delay_s=0.01)
    assert all(1 <= len(round_) <= 4 for round_ in samples.rounds)


def test_a_terminal_has_a_line_of_progress_that_goes_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    def fail(is_warmup: bool = False) -> FrameSpans:
        raise SourceError("gone")

    run("a", RoundSettings(2, 60.0, 2))
    assert capsys.readouterr().err.split("\r\x1b[K") == ["", "round 1 of 2", "round 2 of 2", ""]
    sequence: Any = FakeSequence("a", [])
    sequence.next_frame = fail
    with pytest.raises(SourceError):
        run_rounds([sequence], RoundSettings(2, 60.0, 2))
    assert capsys.readouterr().err.endswith("\r\x1b[K")


def test_without_a_count_time_alone_decides() -> None:
    (samples,), _ = run("a", RoundSettings(None, 0.05, 2))
    assert all(len(round_) > 1 for round_ in samples.rounds)


@pytest.mark.parametrize("count", [1, 7, 500])
def test_frames_of_rounds_sum_to_the_count(count: int) -> None:
    settings = RoundSettings(count, 1.0, 7)
    assert sum(settings.frames_of(number) or 0 for number in range(7)) == count
