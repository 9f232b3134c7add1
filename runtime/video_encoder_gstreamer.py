"""H.264 in an MP4 by GStreamer, in hardware where there is some, as a child process."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from runtime.errors import OutputError
from runtime.gstreamer import find_elements
from runtime.video_encoders import VideoFormat

WRITE_TIMEOUT_S = 10.0  # for one picture: an encoder or disk that takes longer hangs
FINISH_TIMEOUT_S = 30.0  # for what the encoder holds, and the table of a long video
END_TIMEOUT_S = 2.0  # for a process that has failed or was killed
TRIAL_TIMEOUT_S = 10.0
PIPE_BYTES = 2**20  # the most that Linux gives without privileges; by default a pipe holds 64 KiB
FRAGMENT_MS = 1000  # what a crash may cost
BITS_PER_PIXEL = 0.1  # usual for H.264 of moving scenes: 6 Mbit/s at 1080p and 30 per second


@dataclass(frozen=True)
class EncoderElement:
    """One of GStreamer's H.264 encoders.

    Attributes:
        name: Of the element.
        before: What brings pictures to where it takes them.
        settings: Its properties; ``{bits}`` and ``{kilobits}`` stand for the rate per second,
            ``{gop}`` for pictures between two key frames.
        after: What it needs to be told of its output.
    """

    name: str
    before: str
    settings: str
    after: str = ""


# The best first. Properties as of GStreamer 1.16 (JetPack 5) and later.
ELEMENTS = (
    EncoderElement(  # Jetson
        "nvv4l2h264enc",
        "videoconvert ! video/x-raw,format=I420 ! nvvidconv ! video/x-raw(memory:NVMM),format=NV12",
        "bitrate={bits} iframeinterval={gop} insert-sps-pps=true",
    ),
    EncoderElement("nvh264enc", "videoconvert", "bitrate={kilobits} gop-size={gop}"),
    EncoderElement("vah264enc", "videoconvert", "bitrate={kilobits} key-int-max={gop}"),
    EncoderElement(  # Raspberry Pi and other small boards
        "v4l2h264enc",
        "videoconvert",
        "extra-controls=controls,video_bitrate={bits},h264_i_frame_period={gop}",
        "video/x-h264,level=(string)4",
    ),
    EncoderElement("openh264enc", "videoconvert", "complexity=low bitrate={bits} gop-size={gop}"),
    EncoderElement(
        "x264enc",
        "videoconvert",
        "speed-preset=superfast tune=zerolatency bitrate={kilobits} key-int-max={gop}",
    ),
)

NEEDED_ELEMENTS = ("fdsrc", "filesink", "h264parse", "mp4mux", "rawvideoparse", "videoconvert")


@functools.cache
def working_encoder() -> EncoderElement | None:
    """Return the best encoder that is here and works, found by trying; None without any.

    An element alone says little: that of an Orin Nano is there although the chip has no encoder.
    """
    if shutil.which("gst-launch-1.0") is None:
        return None
    here = find_elements((*NEEDED_ELEMENTS, *(element.name for element in ELEMENTS)))
    if not here.issuperset(NEEDED_ELEMENTS):
        return None
    return next((element for element in ELEMENTS if element.name in here and _works(element)), None)


class GStreamerEncoder:
    """Feeds pictures to a GStreamer process; see ``VideoEncoder``.

    The process completes the file when its input ends, also because this program was killed. Where
    the whole machine stops, the file can be played up to its last second, if GStreamer is 1.20 or
    newer.

    Args:
        path: The file.
        video: What it is made of.
        element: The encoder.

    Raises:
        OSError: If the file cannot be made.
    """

    def __init__(self, path: Path, video: VideoFormat, element: EncoderElement) -> None:
        self._element = element
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # a pipe could fill up
        # Passed on open, not by name: a pipeline's text gives a meaning to quotes and backslashes.
        with path.open("wb") as file, _end_signals_blocked():
            output = [*_muxer(), "!", "filesink", f"location=/dev/fd/{file.fileno()}"]
            self._process = subprocess.Popen(
                gstreamer_command(video, element, output),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                pass_fds=[file.fileno()],
                start_new_session=True,
            )
        assert self._process.stdin is not None
        self._input = self._process.stdin.fileno()
        os.set_blocking(self._input, False)
        with contextlib.suppress(OSError, AttributeError):  # else it stays at 64 KiB
            fcntl.fcntl(self._input, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def write(self, image: np.ndarray) -> None:
        """Add a picture; raises if the encoder has died or does not take it in time."""
        waiting = memoryview(_with_even_rows(image).data).cast("B")
        deadline_s = time.monotonic() + WRITE_TIMEOUT_S
        poll = select.poll()
        poll.register(self._input, select.POLLOUT)
        while waiting:
            try:
                waiting = waiting[os.write(self._input, waiting) :]
            except BlockingIOError:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    self._process.kill()
                    raise self._error(f"takes no picture for {WRITE_TIMEOUT_S:g} s") from None
                poll.poll(left_s * 1000)
            except BrokenPipeError:
                raise self._error("has ended") from None

    def finish(self) -> None:
        """End the input and wait until the file is complete."""
        self._close_input()
        try:
            status = self._process.wait(FINISH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise self._error(f"did not finish within {FINISH_TIMEOUT_S:g} s") from None
        if status != 0:
            raise self._error(f"ended with status {status}")

    def abort(self) -> None:
        """End the process."""
        self._close_input()
        self._process.kill()
        self._await_end()
        self._complaints.close()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _await_end(self) -> None:
        """Wait for the process, but not for ever: one that waits for a dead disk cannot end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_TIMEOUT_S)

    def _error(self, what: str) -> OutputError:
        """Return an error with the reason that GStreamer gave, if it did."""
        self._await_end()
        self._complaints.seek(0)
        reason = _reason_in(self._complaints.read().decode(errors="replace"))
        return OutputError(
            f"the encoder for --save, GStreamer's {self._element.name}, {what}{reason}; expected "
            "room on the disk and a working encoder; free some, or choose another --save"
        )


@contextlib.contextmanager
def _end_signals_blocked() -> Iterator[None]:
    """Let processes that are started here ignore requests to end.

    A program inherits what its parent's thread blocks. Systemd and terminals signal children, too,
    but the encoder must live until it has got and finished the last picture.
    """
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def gstreamer_command(
    video: VideoFormat, element: EncoderElement, output: Sequence[str]
) -> list[str]:
    """Return the command that encodes raw pictures from its standard input.

    Args:
        video: What comes.
        element: The encoder.
        output: What takes the H.264 stream, as arguments of ``gst-launch-1.0``.
    """
    height, width = video.size_hw
    rate = Fraction(video.frame_rate).limit_denominator(1001)  # 30000/1001 is the largest in use
    bits = round(BITS_PER_PIXEL * height * width * video.frame_rate)
    settings = element.settings.format(
        bits=bits, kilobits=max(1, bits // 1000), gop=max(1, round(video.frame_rate))
    )
    pipeline = (
        f"fdsrc fd=0 ! rawvideoparse format=bgr width={width} height={height} "
        f"framerate={rate.numerator}/{rate.denominator} ! {element.before} ! "
        f"{element.name} {settings} ! {element.after or 'identity'} ! h264parse !"
    )
    return ["gst-launch-1.0", "--quiet", *pipeline.split(), *output]


def _with_even_rows(image: np.ndarray) -> np.ndarray:
    """Return a picture's bytes row by row, each row's at a multiple of 4, as GStreamer has them."""
    rows = np.ascontiguousarray(image).reshape(image.shape[0], -1)
    missing = -rows.shape[1] % 4
    return np.pad(rows, ((0, 0), (0, missing))) if missing else rows


@functools.cache
def _muxer() -> tuple[str, ...]:
    """Return the muxer: with fragments that it joins at the end, where it can (1.20 and newer)."""
    described = _output_of(["gst-inspect-1.0", "mp4mux"])
    if "first-moov-then-finalise" not in (described or ""):
        return ("mp4mux",)
    return (
        *("mp4mux", f"fragment-duration={FRAGMENT_MS}"),
        "fragment-mode=first-moov-then-finalise",
    )


def _works(element: EncoderElement) -> bool:
    """Encode two black pictures of a usual size."""
    video = VideoFormat((480, 640), 30.0)
    command = gstreamer_command(video, element, ["fakesink"])
    return _output_of(command, bytes(2 * 480 * 640 * 3)) is not None


def _output_of(command: Sequence[str], given: bytes = b"") -> str | None:
    """Return what a command prints, or None if it is not there, fails or takes too long."""
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=TRIAL_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def _reason_in(complaints: str) -> str:
    """Return the first error of GStreamer's output, for the middle of a line; empty without."""
    for line in complaints.splitlines():
        if "ERROR" in line or "erroneous" in line:
            # It names the file in a way that users do not know.
            return ": " + re.sub(r' "[^"]*"', "", line).rpartition(": ")[2].strip().rstrip(".")
    return ""
