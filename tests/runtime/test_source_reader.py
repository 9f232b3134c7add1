"""A source that fails, comes back, changes or falls silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from runtime import source_reader
from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.source_reader import ReaderOptions, SourceReader
from runtime.source_state import BackoffOptions, SourceState
from runtime.sources import Source, SourceSpec
from tests.builders import picture
from tests.fakes.sources import FakeSource

SOON = BackoffOptions(first_s=0.001, longest_s=0.002)


class Opener:
    """Gives one connection after the other; an error stands for one that cannot be made."""

    def __init__(self, *connections: Source | SourceError) -> None:
        self.connections = list(connections)
        self.attempts = 0

    def __call__(self) -> Source:
        self.attempts += 1
        if not self.connections:
            raise SourceError("nobody answers")
        connection = self.connections.pop(0)
        if isinstance(connection, SourceError):
            raise connection
        return connection


def live(count: int, ending: str = "fail") -> FakeSource:
    return FakeSource([picture(seed) for seed in (48,) * count], is_live=True, ending=ending)


class Run:
    """A reader and what came of it."""

    def __init__(
        self, opener: Opener, is_live: bool = True, most: int = 10**9, **options: object
    ) -> None:
        self.frames: list[Frame] = []
        self.lines: list[str] = []
        settings = ReaderOptions(**{"backoff": SOON, **options})  # type: ignore[arg-type]

        def deliver(frame: Frame, capture_ms: float) -> bool:
            assert capture_ms >= 0
            self.frames.append(frame)
            return len(self.frames) < most

        spec = SourceSpec("gate", is_live, opener)
        self.reader = SourceReader(spec, settings, deliver, self.lines.append)

    @property
    def sequences(self) -> list[int]:
        return [frame.sequence for frame in self.frames]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def test_a_file_is_read_to_its_end() -> None:
    source = FakeSource([picture()] * 5)
    run = Run(Opener(source), is_live=False)
    assert run.reader.state is SourceState.CONNECTING
    run.reader.run()
    assert run.sequences == [0, 1, 2, 3, 4]
    assert run.reader.state is SourceState.ENDED
    assert (run.reader.captured, run.reader.skipped, run.reader.reconnects) == (5, 0, 0)
    assert source.closed
    assert run.lines == []


def test_a_source_that_is_open_already_is_not_opened_again() -> None:
    opener, source, frames = Opener(), FakeSource([picture()]), []
    spec = SourceSpec("gate", False, opener)
    reader = SourceReader(
        spec, ReaderOptions(), lambda f, _: frames.append(f) or True, print, source
    )
    reader.run()
    assert (len(frames), opener.attempts) == (1, 0)


def test_an_open_source_is_closed_even_if_it_is_never_read() -> None:
    source = FakeSource([picture()])
    spec = SourceSpec("gate", False, Opener())
    reader = SourceReader(spec, ReaderOptions(), lambda _frame, _ms: True, print, source)
    reader.stop()
    reader.run()
    assert (source.reads, source.closed) == (0, True)


def test_a_lost_camera_comes_back_and_its_numbers_go_on() -> None:
    first, second, third = live(3), live(2), live(4)
    run = Run(Opener(first, SourceError("no route"), second, third), most=9)
    run.reader.run()
    assert run.sequences == list(range(9))
    assert run.reader.reconnects == 2
    assert all(source.closed for source in (first, second, third))


def test_each_loss_and_each_return_is_one_line() -> None:
    run = Run(Opener(live(1), SourceError("no route"), SourceError("no route"), live(5)), most=3)
    run.reader.run()
    assert len(run.lines) == 2
    assert run.lines[0].startswith("fake camera was unplugged; trying again")
    assert run.lines[1].startswith("gate is back after")


def test_what_went_wrong_is_known_while_it_lasts_only() -> None:
    opener = Opener(live(1))
    run = Run(opener, backoff=BackoffOptions(first_s=0.02, longest_s=0.02))
    thread = threading.Thread(target=run.reader.run)
    thread.start()
    wait_until(lambda: run.reader.problem == "nobody answers")
    assert run.reader.state in (SourceState.RETRYING, SourceState.CONNECTING)
    second = live(1, ending="hang")
    opener.connections.append(second)
    wait_until(lambda: len(run.frames) == 2)
    assert run.reader.problem == ""
    assert run.reader.state is SourceState.LIVE
    second.let_go.set()
    thread.join(5)


def test_a_camera_that_does_not_open_at_the_start_is_an_error() -> None:
    run = Run(Opener(SourceError("no such camera")))
    with pytest.raises(SourceError, match="no such camera"):
        run.reader.run()
    assert run.reader.state is SourceState.ENDED


def test_unless_it_is_waited_for() -> None:
    run = Run(Opener(SourceError("not yet"), SourceError("not yet"), live(1)), most=1)
    reader = Run(Opener(SourceError("not yet"), live(2)), most=2, wait_for_first=True)
    reader.reader.run()
    assert reader.sequences == [0, 1]
    assert reader.reader.reconnects == 0, "it came for the first time"
    assert not any("not yet" in line for line in reader.lines), "whoever waits for it knows"
    with pytest.raises(SourceError):
        run.reader.run()


def test_a_broken_file_is_never_read_again() -> None:
    opener = Opener(FakeSource([picture()], ending="fail"), FakeSource([picture()]))
    run = Run(opener, is_live=False, wait_for_first=True)
    with pytest.raises(SourceError, match="unplugged"):
        run.reader.run()
    assert (run.sequences, opener.attempts) == ([0], 1)


def test_a_camera_that_stays_away_for_too_long_is_an_error() -> None:
    run = Run(Opener(live(1)), give_up_after_s=0.05)
    with pytest.raises(SourceError, match=r"nobody answers; --give-up-after: .* for 0\.05 s"):
        run.reader.run()
    assert run.sequences == [0]


def test_a_mistake_of_ours_is_not_retried() -> None:
    class Broken(FakeSource):
        def read(self) -> Frame | None:
            raise ZeroDivisionError

    opener = Opener(Broken([], True), live(1))
    with pytest.raises(ZeroDivisionError):
        Run(opener).reader.run()
    assert opener.attempts == 1


def test_stop_ends_a_wait_at_once() -> None:
    run = Run(Opener(live(1)), backoff=BackoffOptions(first_s=1000.0, longest_s=1000.0))
    thread = threading.Thread(target=run.reader.run)
    thread.start()
    wait_until(lambda: run.reader.state is SourceState.RETRYING)
    run.reader.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_waits_grow_while_the_camera_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    options = BackoffOptions(first_s=1.0, factor=2.0, longest_s=4.0, jitter=0.0)
    run = Run(Opener(live(1), live(1), live(1), live(1), live(9)), most=5, backoff=options)
    monkeypatch.setattr(run.reader._stop, "wait", waits.append)
    run.reader.run()
    assert waits == [1.0, 2.0, 4.0, 4.0]


def test_a_camera_that_stayed_begins_with_the_shortest_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(source_reader, "STEADY_AFTER_S", 0.0)
    options = BackoffOptions(first_s=1.0, factor=2.0, longest_s=4.0, jitter=0.0)
    run = Run(Opener(live(2), live(2), live(2)), most=6, backoff=options)
    monkeypatch.setattr(run.reader._stop, "wait", waits.append)
    run.reader.run()
    assert waits == [1.0, 1.0]


def test_a_camera_that_hangs_shows_as_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_reader, "STALLED_AFTER_S", 0.05)
    monkeypatch.setattr(source_reader, "STALLED_AFTER_FRAMES", 1)
    source = live(2, ending="hang")
    run = Run(Opener(source))
    thread = threading.Thread(target=run.reader.run)
    thread.start()
    wait_until(lambda: run.reader.state is SourceState.STALLED)
    assert run.sequences == [0, 1]
    source.let_go.set()
    thread.join(5)
    assert run.reader.state is SourceState.ENDED


def test_a_camera_whose_picture_nobody_takes_is_not_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_reader, "STALLED_AFTER_S", 0.0)
    monkeypatch.setattr(source_reader, "STALLED_AFTER_FRAMES", 0)
    states: list[SourceState] = []

    def deliver(_frame: Frame, _capture_ms: float) -> bool:
        time.sleep(0.01)  # the network is busy
        states.append(reader.state)
        return False

    spec = SourceSpec("gate", True, Opener(live(1)))
    reader = SourceReader(spec, ReaderOptions(), deliver, print)
    reader.run()
    assert states == [SourceState.LIVE]


def test_a_slow_file_is_not_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_reader, "STALLED_AFTER_S", 0.0)
    monkeypatch.setattr(source_reader, "STALLED_AFTER_FRAMES", 0)
    source = FakeSource([picture()], ending="hang")
    run = Run(Opener(source), is_live=False)
    thread = threading.Thread(target=run.reader.run)
    thread.start()
    wait_until(lambda: len(run.frames) == 1)
    assert run.reader.state is SourceState.LIVE
    source.let_go.set()
    thread.join(5)


@pytest.mark.parametrize(("every", "wanted"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6])])
def test_every_nth_picture_is_handed_on_and_the_others_counted(
    every: int, wanted: list[int]
) -> None:
    run = Run(Opener(FakeSource([picture()] * 7)), is_live=False, every=every)
    run.reader.run()
    assert run.sequences == wanted
    assert (run.reader.captured, run.reader.skipped) == (7, 7 - len(wanted))


def test_a_new_size_is_one_line() -> None:
    small, large = picture(48, 64), picture(96, 128)
    run = Run(Opener(FakeSource([small, large, large, small], True)))
    run.reader.run()
    assert run.lines == [
        "gate changed from 64x48 to 128x96 pixels",
        "gate changed from 128x96 to 64x48 pixels",
    ]


@pytest.mark.parametrize(("moves", "lines"), [(False, 1), (True, 0)])
def test_the_same_picture_for_long_is_one_line(
    monkeypatch: pytest.MonkeyPatch, moves: bool, lines: int
) -> None:
    monkeypatch.setattr(source_reader, "UNCHANGED_NOTICE_S", 0.02)
    images = [np.full((64, 64, 3), number if moves else 7, np.uint8) for number in range(20)]
    run = Run(Opener(FakeSource(images, True, interval_s=0.005)))
    run.reader.run()
    assert len(run.lines) == lines
    assert all("the same picture" in line for line in run.lines)


def test_clock_jumps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter(range(0, 10**9, 10**6))
    monkeypatch.setattr(time, "time", lambda: next(wall) * (-1) ** next(wall))
    run = Run(Opener(live(2), live(2)), most=4)
    run.reader.run()
    assert run.sequences == [0, 1, 2, 3]
