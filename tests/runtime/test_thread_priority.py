"""Which thread gives way, and that nothing else does."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from runtime.thread_priority import NICENESS, give_way

linux = pytest.mark.skipif(sys.platform != "linux", reason="a niceness is a thread's on Linux only")


def niceness_of_thread() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def niceness_after_giving_way() -> int:
    found: list[int] = []

    def run() -> None:
        give_way()
        found.append(niceness_of_thread())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@linux
def test_lowers_the_priority_of_its_thread_alone() -> None:
    before = niceness_of_thread()
    assert niceness_after_giving_way() == max(before, NICENESS)
    assert niceness_of_thread() == before


@linux
def test_a_thread_that_has_given_way_stays_as_it_is() -> None:
    found: list[int] = []

    def run() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        give_way()
        found.append(niceness_of_thread())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [19]


@linux
def test_a_system_that_forbids_it_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: int) -> None:
        raise PermissionError

    before = niceness_of_thread()
    monkeypatch.setattr(os, "setpriority", forbid)
    assert niceness_after_giving_way() == before


def test_does_nothing_where_a_niceness_is_the_whole_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[int, ...]] = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "setpriority", lambda *arguments: calls.append(arguments))
    give_way()
    assert calls == []
