"""The test pattern as a camera: its address, its pace and what a late reader misses."""

from __future__ import annotations

import pytest

from runtime import camera_test_pattern
from runtime.camera_test_pattern import PatternOptions, PatternSource, parse_test_address
from runtime.errors import UsageError
from runtime.frames import Frame
from runtime.pattern_picture import read_frame_number

SMALL_HW = (48, 64)
START_NS = 10**12


class FakeClock:
    """Stands in for the module ``time``: sleeping takes exactly as long as asked for."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.sleeps_s: list[float] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.sleeps_s.append(seconds)
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(camera_test_pattern, "time", fake)
    return fake


def read_number(source: PatternSource) -> tuple[int | None, Frame]:
    frame = source.read()
    assert frame is not None
    return read_frame_number(frame.image), frame


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("test://", PatternOptions((480, 640), 30.0, None)),
        ("test://1280x720@30", PatternOptions((720, 1280), 30.0, None)),
        ("test://@12.5", PatternOptions((480, 640), 12.5, None)),
        ("test://64x48", PatternOptions((48, 64), 30.0, None)),
        ("test://640x480@30?frames=300", PatternOptions((480, 640), 30.0, 300)),
        ("test://?frames=0", PatternOptions((480, 640), 30.0, 0)),
        ("test://320x240@max?frames=9", PatternOptions((240, 320), None, 9)),
    ],
)
def test_an_address_is_read(text: str, expected: PatternOptions) -> None:
    assert parse_test_address(text) == expected


def test_what_the_address_leaves_out_comes_from_the_options() -> None:
    assert parse_test_address("test://", (90, 160), 15.0) == PatternOptions((90, 160), 15.0)
    assert parse_test_address("test://64x48@5", (90, 160), 15.0) == PatternOptions(SMALL_HW, 5.0)
    assert parse_test_address("test://@max", (90, 160), 15.0).frame_rate is None


@pytest.mark.parametrize(
    "text",
    [
        *("test://x", "test://640", "test://640x", "test://@", "test://@-1", "test://?frames=x"),
        *("test://640x480@30?frames=", "test://640x480 @30", "test:/640x480", "test://640x480@1e3"),
    ],
)
def test_a_malformed_address_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"got 'test:.*; expected test://, test://1280x720@30"):
        parse_test_address(text)


@pytest.mark.parametrize("text", ["test://31x48", "test://64x0", "test://@0"])
def test_what_cannot_be_drawn_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="expected a rate above 0 and pictures of at least 32x1"):
        parse_test_address(text)


def test_pictures_come_at_the_stated_rate_without_drift(clock: FakeClock) -> None:
    source = PatternSource(PatternOptions(SMALL_HW, 30.0))
    frames = []
    for _ in range(3001):
        frame = source.read()
        assert frame is not None
        frames.append(frame)
        clock.now_ns += 1_000_000  # what the reader does meanwhile
    assert frames[0].captured_ns == START_NS
    assert abs(frames[3000].captured_ns - START_NS - 100 * 10**9) <= 1
    assert len(clock.sleeps_s) == 3000
    assert [frame.sequence for frame in frames] == list(range(3001))
    assert read_frame_number(frames[3000].image) == 3000


def test_a_late_reader_misses_pictures_and_gets_no_burst(clock: FakeClock) -> None:
    source = PatternSource(PatternOptions(SMALL_HW, 10.0), "gate")
    assert read_number(source)[0] == 0
    clock.now_ns += 1_050_000_000
    number, frame = read_number(source)
    assert (number, frame.sequence, frame.source) == (10, 1, "gate")
    assert frame.captured_ns == START_NS + 10**9  # when it was due, half a frame time ago
    assert clock.sleeps_s == []
    number, frame = read_number(source)
    assert (number, frame.sequence) == (11, 2)
    assert clock.sleeps_s == [pytest.approx(0.05)]


def test_without_a_rate_every_picture_is_delivered_at_once(clock: FakeClock) -> None:
    source = PatternSource(PatternOptions(SMALL_HW, None, 50))
    numbers = []
    while (frame := source.read()) is not None:
        numbers.append(read_frame_number(frame.image))
        clock.now_ns += 10**9
    assert numbers == list(range(50))
    assert clock.sleeps_s == []
    assert not source.is_live
    assert source.stall_timeout_s is None
    assert source.frame_rate > 0


def test_it_ends_after_its_last_picture_also_if_that_was_missed(clock: FakeClock) -> None:
    source = PatternSource(PatternOptions(SMALL_HW, 10.0, frames=3))
    assert [read_number(source)[0] for _ in range(3)] == [0, 1, 2]
    assert source.read() is None
    source = PatternSource(PatternOptions(SMALL_HW, 10.0, frames=3))
    source.read()
    clock.now_ns += 10**10
    assert source.read() is None


def test_after_closing_it_has_ended() -> None:
    source = PatternSource(PatternOptions(SMALL_HW, None))
    source.close()
    source.close()
    assert source.read() is None


@pytest.mark.parametrize(("rate", "timeout_s"), [(30.0, 5.0), (0.1, 20.0)])
def test_a_slow_pattern_is_not_a_stalled_one(rate: float, timeout_s: float) -> None:
    assert PatternSource(PatternOptions(SMALL_HW, rate)).stall_timeout_s == timeout_s


def test_on_the_real_clock_no_picture_comes_before_it_is_due() -> None:
    source = PatternSource(PatternOptions(SMALL_HW, 200.0))
    stamps = [read_number(source) for _ in range(5)]
    first = stamps[0][1].captured_ns
    for number, frame in stamps:
        assert number is not None
        assert frame.captured_ns - first == pytest.approx(number * 5_000_000, abs=2)
