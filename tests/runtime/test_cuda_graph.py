"""Recording and launching on the software GPU, and what happens when recording fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runtime import cuda_graph
from runtime.cuda_graph import capture_graph
from runtime.errors import BackendError
from tests.fakes.cuda_driver import FakeDriver, FakeLibcuda


@pytest.fixture
def stream(driver: FakeDriver) -> Iterator[Any]:
    from runtime.cuda_memory import Stream, open_device

    with open_device().current():
        stream = Stream()
        yield stream
        stream.close()


def counting(driver: FakeDriver, stream: Any) -> tuple[list[int], Callable[[], None]]:
    """Return a list that grows when work runs, and what enqueues that work."""
    ran: list[int] = []
    return ran, lambda: driver.enqueue_call("work", stream.handle, lambda: ran.append(1))


def test_recorded_work_runs_at_each_launch_and_not_before(driver: FakeDriver, stream: Any) -> None:
    ran, enqueue = counting(driver, stream)
    graph = capture_graph(stream.handle, enqueue)
    stream.synchronize()
    assert ran == []
    graph.launch(stream.handle)
    graph.launch(stream.handle)
    stream.synchronize()
    assert ran == [1, 1]
    assert len(driver.graphs) == 1  # the template is gone
    graph.close()
    assert not driver.graphs


def test_work_that_cannot_be_recorded_is_refused(driver: FakeDriver, stream: Any) -> None:
    def allocate() -> None:
        driver.enqueue_call("work", stream.handle, lambda: None)
        driver.allocate(64)

    with pytest.raises(Exception, match="CAPTURE_UNSUPPORTED"):
        capture_graph(stream.handle, allocate)
    ran, enqueue = counting(driver, stream)
    enqueue()
    stream.synchronize()
    assert ran == [1] and not driver.graphs  # the stream is as before


def test_an_error_while_recording_reaches_the_caller(driver: FakeDriver, stream: Any) -> None:
    def fail() -> None:
        raise BackendError("the engine failed")

    with pytest.raises(BackendError, match="the engine failed"):
        capture_graph(stream.handle, fail)
    stream.synchronize()
    assert not driver.graphs


def test_a_recording_that_the_driver_refuses(driver: FakeDriver, stream: Any) -> None:
    driver.refuse = frozenset({"capture"})
    message = r"cuStreamEndCapture failed \(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, \d+\)"
    with pytest.raises(BackendError, match=message):
        capture_graph(stream.handle, lambda: None)
    stream.synchronize()


def test_an_executable_that_cannot_be_made_leaves_no_template(
    driver: FakeDriver, stream: Any
) -> None:
    driver.refuse = frozenset({"instantiate"})
    with pytest.raises(BackendError, match="cuGraphInstantiateWithFlags failed"):
        capture_graph(stream.handle, lambda: None)
    assert not driver.graphs


def test_an_old_driver_is_named(
    driver: FakeDriver, stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = frozenset({"cuStreamBeginCapture_v2"})
    monkeypatch.setattr(cuda_graph, "_driver", lambda: FakeLibcuda(driver, missing))
    with pytest.raises(BackendError, match=r"has no cuStreamBeginCapture_v2; .*update the driver"):
        capture_graph(stream.handle, lambda: None)
