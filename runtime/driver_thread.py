"""Calls into a driver that may hang, from a thread that can be left behind."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class DriverThread:
    """Makes calls one after another in a thread of its own, since a driver may never return.

    A handle of OpenCV crashes when it is released while another thread reads from it. Here all
    calls come from one thread: the release waits until the read has returned, and nobody else does.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._is_waiting = True  # False: it hangs, or was told to end
        # A daemon: a driver that hangs must not keep the process.
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def call(self, function: Callable[[], Result], timeout_s: float) -> Result:
        """Call a function in the thread and wait for its result; raises what it raises.

        Raises:
            TimeoutError: If it does not return in time, or one before did not.
        """
        if not self._is_waiting:
            raise TimeoutError
        self._calls.put(function)
        try:
            result, error = self._results.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            self._is_waiting = False
            raise TimeoutError from None
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def end(self, function: Callable[[], Any], timeout_s: float) -> None:
        """Make a last call and end the thread; where a call hangs, as soon as that returns.

        Args:
            function: Such as a release.
            timeout_s: How long to wait for it; not at all if a call hangs already.
        """
        if self._is_waiting:
            with contextlib.suppress(TimeoutError):
                self.call(function, timeout_s)
        else:
            self._calls.put(function)
        self._is_waiting = False
        self._calls.put(None)

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                self._results.put((function(), None))
            except BaseException as error:
                self._results.put((None, error))
