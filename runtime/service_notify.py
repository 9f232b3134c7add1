"""Tell systemd that the program is ready, alive, and why: ``Type=notify`` and ``WatchdogSec=``.

The protocol is one datagram per message, so it needs no library: those on PyPI (sdnotify, 2017,
and others) do no more. Where systemd did not start the program, everything here does nothing.

Source: sd_notify(3) and sd_watchdog_enabled(3) of systemd.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from collections.abc import Callable, Mapping

from runtime.source_state import SourceState
from runtime.stream_status import CameraStatus, StreamStatus

# Pictures may wait for the network for so long: an engine's first run may compile its kernels.
LONGEST_SILENCE_S = 60.0
# How often to look, at least: a snapshot of the stream costs a few milliseconds.
LOOK_EVERY_S = 5.0
SEND_TIMEOUT_S = 1.0  # systemd may be busy; its queue of messages is short


class ServiceManager:
    """The program that started this one, if it wants to be told.

    Args:
        environment: Where systemd says so: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC``, ``WATCHDOG_PID``.

    Attributes:
        watchdog_s: Longest time between two signs of life; None if none are expected.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)

    def ready(self) -> None:
        """Say that the start is over."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Say that the program ends in good order."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send("STATUS=" + " ".join(text.split()))

    def alive(self) -> None:
        """Put off the moment at which the program is ended for being stuck."""
        self._send("WATCHDOG=1")

    @property
    def is_listening(self) -> bool:
        """Whether there is somebody to tell."""
        return bool(self._address)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # "@" stands for the zero byte in front of a name that is in no file system.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        # Nobody to tell, or nobody who listens: no reason to stop looking at pictures.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.settimeout(SEND_TIMEOUT_S)
            sender.sendto(message.encode(), address)


class Watchdog:
    """Gives systemd a sign of life as long as the stream gets on, so that it restarts a stuck one.

    The stream gets on if results come, or if there is nothing to do: cameras that are away are
    waited for here, and a restart would not bring them back. It is stuck if pictures wait for the
    network, or a camera's driver hangs, and no result comes. If the main loop itself hangs, nobody
    calls ``tick``. Only the monotonic clock is used: the time of day may jump.

    Args:
        manager: Whom to tell.
        status: Returns a snapshot of the stream.
        report: Takes a line for the user when the stream is found stuck.
        longest_silence_s: How long no result may come although pictures wait; more than a camera's
            stall timeout.
        clock: Seconds, as ``time.monotonic``; a test passes its own.
    """

    def __init__(
        self,
        manager: ServiceManager,
        status: Callable[[], StreamStatus],
        report: Callable[[str], None] = print,
        longest_silence_s: float = LONGEST_SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manager = manager
        self._status = status
        self._report = report
        self._longest_silence_s = longest_silence_s
        self._clock = clock
        # Half of what is allowed, as systemd advises.
        self._interval_s = min(LOOK_EVERY_S, (manager.watchdog_s or math.inf) / 2)
        self._next_look = -math.inf
        self._well_at = clock()
        self._results = 0
        self._is_stuck = False

    def tick(self) -> None:
        """Look after the stream when it is time to; call some times per second in the main loop."""
        now = self._clock()
        if not self._manager.is_listening or now < self._next_look:
            return
        self._next_look = now + self._interval_s
        status = self._status()
        results = sum(camera.results for camera in status.cameras)
        if results != self._results or not any(map(_owes_result, status.cameras)):
            self._well_at = now
        self._results = results
        silence_s = now - self._well_at
        if silence_s <= self._longest_silence_s:
            self._is_stuck = False
            self._manager.alive()
            self._manager.status(_status_line(status))
        elif not self._is_stuck:
            self._is_stuck = True
            line = f"stuck: no result for {silence_s:.0f} s although pictures wait"
            self._manager.status(line)
            self._report(f"{line}; systemd is no longer told that all is well")


def _owes_result(camera: CameraStatus) -> bool:
    """Say whether a result should come: a picture waits, or the camera should have sent one."""
    waiting = camera.captured - camera.skipped - camera.dropped - camera.results
    return waiting > 0 or camera.state is SourceState.STALLED


def _status_line(status: StreamStatus) -> str:
    return ", ".join(
        f"{camera.name}: {camera.frames_per_second:.1f} FPS"
        if camera.state is SourceState.LIVE
        else f"{camera.name}: {camera.state.value}"
        for camera in status.cameras
    )


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Return the interval in which this process must give a sign of life; None for none."""
    interval, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (interval.isdecimal() and int(interval) > 0) or pid not in ("", str(os.getpid())):
        return None
    return int(interval) / 1e6
