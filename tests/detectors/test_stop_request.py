"""Ctrl-C is noted first and obeyed when it comes again."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from detectors.stop_request import StopRequest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_the_old_handler_comes_back(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.is_made
        os.kill(os.getpid(), number)
        assert stop.is_made
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_is_obeyed():
    with pytest.raises(KeyboardInterrupt), StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_without_a_signal_nothing_changes():
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before and not stop.is_made


def test_another_thread_notes_nothing_and_does_not_fail():
    seen = []

    def enter() -> None:
        with StopRequest() as stop:
            seen.append(stop.is_made)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [False]
