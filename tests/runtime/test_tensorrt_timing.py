"""Marks in a stream of the software GPU, and the time between them."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import BackendError
from tests.fakes.cuda_driver import FakeDriver


def test_intervals_are_the_gpus_time_between_marks(driver: FakeDriver) -> None:
    from runtime.cuda_memory import Stream, open_device
    from runtime.tensorrt_timing import INTERVALS, FrameTimer

    driver.durations_ms = {"first": 1.5, "third": 4.0}
    with open_device().current():
        timer, stream = FrameTimer(), Stream()
        for number, work in enumerate(("first", "second", "third", "fourth")):
            timer.mark(number, stream)
            driver.enqueue_call(work, stream.handle, lambda: None)
        timer.mark(4, stream)
        stream.synchronize()
        assert timer.milliseconds() == dict(zip(INTERVALS, (1.5, 0.0, 4.0, 0.0), strict=True))
        timer.close()
        stream.close()
    assert driver.is_empty


def test_a_mark_that_was_not_reached_has_no_time(driver: FakeDriver) -> None:
    from runtime.cuda_memory import Stream, open_device
    from runtime.tensorrt_timing import FrameTimer

    with open_device().current():
        timer, stream = FrameTimer(), Stream()
    with pytest.raises(BackendError, match="device not ready"), open_device().current():
        timer.milliseconds()
    with open_device().current():
        timer.close()
        stream.close()


def test_an_event_that_only_orders_keeps_no_time(driver: FakeDriver) -> None:
    from runtime.cuda_memory import Event, TimingEvent, open_device

    ordering: Any = Event()
    with pytest.raises(BackendError, match="invalid resource handle"), open_device().current():
        TimingEvent.milliseconds_since(ordering, ordering)
