"""GStreamer in a process of its own, and the pictures that it sends.

A decoder that crashes or hangs takes only its process with it, and nothing of GStreamer needs to
be compiled into OpenCV or installed as a Python package.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from runtime.raw_frames import HEADER_BYTES, RawFrameHeader, unpack_header

CHILD = Path(__file__).with_name("gstreamer_child.py")
PIPE_BYTES = 2**20  # what Linux allows without rights; the default, 64 KiB, costs many more reads
POLITE_END_S = 0.5  # a camera is told that the session ends; longer than its teardown-timeout
REASON_S = 1.0  # how long to wait for the last words of a process that ended
KEPT_LINES = 20


@dataclass(frozen=True)
class PipelineRequest:
    """What the child shall run.

    Attributes:
        description: In the notation of ``gst-launch-1.0``; ends in an appsink named ``frames``.
        properties: Texts to set, by element and property. They reach the child through a pipe: no
            list of processes shows them, and they cannot add elements to the pipeline.
    """

    description: str
    properties: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class RawFrame:
    """A picture as it came: ``pixels`` is uint8 (H, W, 3) BGR or (H, W, 4) BGRx, its own memory."""

    header: RawFrameHeader
    pixels: np.ndarray


class GStreamerFailure(Exception):
    """What GStreamer says went wrong; the source turns it into a ``SourceError``.

    Args:
        message: In GStreamer's words; may hold the address that it was given.
        domain: Of the error, such as "gst-resource-error-quark"; empty if it ended without one.
        code: Within the domain.
        detail: The rest of what it said; may be empty.
    """

    def __init__(self, message: str, domain: str = "", code: int = 0, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.domain = domain
        self.code = code
        self.detail = detail


class PictureTimeout(Exception):
    """No complete picture came in time."""


class GStreamerProcess:
    """Runs a pipeline and receives its pictures. Use from one thread.

    Args:
        request: The pipeline.

    Attributes:
        decoder: The element that decodes, known with the first picture; empty before.
    """

    def __init__(self, request: PipelineRequest) -> None:
        self.decoder = ""
        self._child = start_child(
            {"description": request.description, "properties": request.properties}
        )
        self._pictures, self._messages = _pipes(self._child)
        with contextlib.suppress(OSError):  # the limit was lowered: slower, not wrong
            fcntl.fcntl(self._pictures, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._poll, self._picture_poll = select.poll(), select.poll()
        self._picture_poll.register(self._pictures, select.POLLIN)
        for pipe in (self._pictures, self._messages):
            os.set_blocking(pipe, False)
            self._poll.register(pipe, select.POLLIN)
        self._unfinished_line = b""
        self._foreign_lines: list[str] = []
        self._failure: GStreamerFailure | None = None

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._child.pid

    def read_frame(self, timeout_s: float) -> RawFrame:
        """Wait for the next whole picture.

        Raises:
            PictureTimeout: If it is not here in time.
            GStreamerFailure: If the pipeline failed or ended; part of a picture is thrown away.
        """
        deadline = time.monotonic() + timeout_s
        data = bytearray(HEADER_BYTES)
        self._fill(memoryview(data), deadline)
        try:
            header = unpack_header(data)
        except ValueError as error:
            raise GStreamerFailure(f"sent something else than pictures: {error}") from None
        pixels = np.empty((header.height, header.row_bytes), np.uint8)
        self._fill(pixels.data.cast("B"), deadline)
        row = pixels[:, : header.width * header.channels]
        picture = row.reshape(header.height, header.width, header.channels)
        return RawFrame(header, np.ascontiguousarray(picture))

    def close(self) -> None:
        """End the process, politely if it reacts, and in any case; may be called again."""
        if self._child.stdin is None or self._child.stdin.closed:
            return
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        try:
            self._child.wait(POLITE_END_S)
        except subprocess.TimeoutExpired:
            pass
        kill_child(self._child)

    def _fill(self, buffer: memoryview, deadline: float) -> None:
        """Read exactly as many bytes as the buffer has."""
        filled = 0
        while filled < len(buffer):
            try:
                count = os.readv(self._pictures, [buffer[filled:]])
            except BlockingIOError:
                self._wait(deadline)
                continue
            if not count:
                raise self._reason()
            filled += count
        self._read_messages()

    def _wait(self, deadline: float) -> None:
        """Wait for pictures or messages."""
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0 or not (ready := self._poll.poll(remaining_s * 1000 + 1)):
            raise PictureTimeout
        if any(pipe == self._messages for pipe, _ in ready) and not self._read_messages():
            self._poll.unregister(self._messages)  # ended: it would be ready for ever
        # The process writes pictures first and reports then: when there is none now, none comes.
        if self._failure is not None and not self._picture_poll.poll(0):
            raise self._failure

    def _read_messages(self) -> bool:
        """Take in what was said so far; False when nothing more will come."""
        while True:
            try:
                data = os.read(self._messages, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            *lines, self._unfinished_line = (self._unfinished_line + data).split(b"\n")
            self._unfinished_line = self._unfinished_line[-4096:]
            for line in lines:
                self._take_message(line.decode(errors="replace"))

    def _take_message(self, line: str) -> None:
        message = json_object(line)
        if "error" in message and self._failure is None:
            self._failure = GStreamerFailure(
                str(message["error"]),
                str(message.get("domain", "")),
                int(message.get("code", 0)),
                # Its first line names a place in GStreamer's source text.
                " ".join(str(message.get("debug", "")).split("\n")[1:]).strip(),
            )
        elif "decoder" in message:
            self.decoder = str(message["decoder"])
        elif line.strip() and not message:
            self._foreign_lines = [*self._foreign_lines, line.strip()][-KEPT_LINES:]

    def _reason(self) -> GStreamerFailure:
        """Say why the process ended."""
        last_words = select.poll()
        last_words.register(self._messages, select.POLLIN)
        deadline = time.monotonic() + REASON_S
        while self._read_messages() and time.monotonic() < deadline:
            last_words.poll(REASON_S * 1000)
        if self._failure is not None:
            return self._failure
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(REASON_S)
        detail = self._foreign_lines[-1] if self._foreign_lines else ""
        return GStreamerFailure(f"GStreamer ended{_status(self._child.returncode)}", detail=detail)


def start_child(request: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the process and tell it what to do; its standard input stays open until the end."""
    child = subprocess.Popen(
        # Without site-packages, it starts in a third of the time.
        [sys.executable, "-S", "-E", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for us, and the group can be killed as a whole
    )
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended at once: its last words say why
        child.stdin.write(json.dumps(request).encode() + b"\n")
    return child


def _pipes(child: subprocess.Popen[bytes]) -> tuple[int, int]:
    assert child.stdout is not None and child.stderr is not None
    return child.stdout.fileno(), child.stderr.fileno()


def kill_child(child: subprocess.Popen[bytes]) -> None:
    """Kill the process with everything it started, reap it and close its pipes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def json_object(line: str) -> dict[str, Any]:
    """Return the object that a line holds; empty if it holds none."""
    if line.startswith("{"):
        with contextlib.suppress(ValueError):
            message = json.loads(line)
            return message if isinstance(message, dict) else {}
    return {}


def _status(returncode: int | None) -> str:
    """Say how a process ended."""
    if returncode is None or returncode == 0:
        return ""
    if returncode < 0:
        return f" by signal {signal.Signals(-returncode).name}"
    return f" with status {returncode}"
