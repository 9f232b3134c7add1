"""Calls that return, fail and hang."""

from __future__ import annotations

import threading

import pytest

from runtime.driver_thread import DriverThread


def test_all_calls_come_from_one_thread_that_is_not_the_callers() -> None:
    driver = DriverThread("camera")
    idents = {driver.call(threading.get_ident, 60) for _ in range(3)}
    assert len(idents) == 1
    assert threading.get_ident() not in idents
    assert driver.call(lambda: threading.current_thread().name, 60) == "camera"
    driver.end(lambda: None, 60)


def test_an_error_is_the_callers_and_the_thread_goes_on() -> None:
    driver = DriverThread("camera")
    with pytest.raises(ZeroDivisionError):
        driver.call(lambda: 1 / 0, 60)
    assert driver.call(lambda: 7, 60) == 7
    driver.end(lambda: None, 60)


def test_the_last_call_is_waited_for_and_ends_the_thread() -> None:
    driver, done = DriverThread("camera"), []
    thread = driver.call(threading.current_thread, 60)
    driver.end(lambda: done.append(1), 60)
    assert done == [1]
    driver.end(lambda: done.append(2), 60)
    thread.join(60)
    assert not thread.is_alive()
    assert done == [1]


def test_a_call_that_hangs_is_left_behind_and_the_last_one_comes_after_it() -> None:
    driver, let_go, ended, order = DriverThread("camera"), threading.Event(), threading.Event(), []

    def hang() -> None:
        let_go.wait(60)
        order.append("returned")

    def last() -> None:
        order.append("released")
        ended.set()

    with pytest.raises(TimeoutError):
        driver.call(hang, 0.01)
    with pytest.raises(TimeoutError):  # at once, and not with the result of the call before
        driver.call(lambda: order.append("never"), 60)
    driver.end(last, 60)
    assert order == []
    let_go.set()
    assert ended.wait(60)
    assert order == ["returned", "released"]


def test_a_last_call_that_hangs_is_made_once() -> None:
    driver, let_go, calls = DriverThread("camera"), threading.Event(), []
    thread = driver.call(threading.current_thread, 60)

    def last() -> None:
        calls.append(1)
        let_go.wait(60)

    driver.end(last, 0.01)
    let_go.set()
    thread.join(60)
    assert calls == [1]
