"""GStreamer's process: its pictures, its failures, and that nothing of it stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from runtime import gstreamer_process
from runtime.gstreamer import find_elements
from runtime.gstreamer_process import (
    GStreamerFailure,
    GStreamerProcess,
    PictureTimeout,
    PipelineRequest,
)

ROOT = Path(__file__).resolve().parents[2]
SINK = "appsink name=frames sync=false max-buffers=1 drop=true"
WHOLE = "appsink name=frames sync=false"  # drops nothing
needs_gstreamer = pytest.mark.skipif(
    not find_elements(("videotestsrc", "appsink", "videoconvert")),
    reason="needs the Debian package gstreamer1.0-plugins-base",
)


def request(
    source: str, sink: str = WHOLE, pixels: str = "BGR", size: str = "64x48"
) -> PipelineRequest:
    width, height = size.split("x")
    caps = f"video/x-raw,format={pixels},width={width},height={height},framerate=30/1"
    return PipelineRequest(f"videotestsrc name=source {source} ! {caps} ! {sink}")


@contextlib.contextmanager
def running(wanted: PipelineRequest) -> Iterator[GStreamerProcess]:
    process = GStreamerProcess(wanted)
    try:
        yield process
    finally:
        process.close()


def is_gone(pid: int) -> bool:
    """Whether no such process is left, not even as a zombie of ours."""
    return not psutil.pid_exists(pid)


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True  # of a parent that is not us
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@needs_gstreamer
def test_pictures_come_whole_and_with_their_facts() -> None:
    with running(request("pattern=red num-buffers=3")) as process:
        before = time.monotonic_ns()
        frames = [process.read_frame(20) for _ in range(3)]
        for frame in frames:
            assert frame.pixels.shape == (48, 64, 3)
            assert (frame.pixels == (0, 0, 255)).all()
            assert frame.header.rate_numerator / frame.header.rate_denominator == 30
        times = [frame.header.captured_ns for frame in frames]
        assert before - 20e9 < times[0] <= times[1] <= times[2] <= time.monotonic_ns()
        # A receiver may keep them all.
        assert not np.shares_memory(frames[0].pixels, frames[1].pixels)
        assert process.decoder == ""


@needs_gstreamer
@pytest.mark.parametrize("width", [61, 62, 63, 64])
def test_padding_at_the_end_of_rows_is_removed(width: int) -> None:
    with running(request("pattern=blue", size=f"{width}x7")) as process:
        pixels = process.read_frame(20).pixels
    assert pixels.shape == (7, width, 3)
    assert (pixels == (255, 0, 0)).all()


@needs_gstreamer
def test_four_channels_come_as_four() -> None:
    with running(request("pattern=green", pixels="BGRx")) as process:
        pixels = process.read_frame(20).pixels
    assert pixels.shape == (48, 64, 4)
    assert (pixels[:, :, :3] == (0, 255, 0)).all()


@needs_gstreamer
def test_a_plugin_that_prints_does_not_disturb_the_pictures() -> None:
    wanted = request("pattern=red num-buffers=5 ! identity dump=true")
    with running(wanted) as process:
        for _ in range(5):
            assert (process.read_frame(20).pixels == (0, 0, 255)).all()
        with pytest.raises(GStreamerFailure, match="the camera ended the stream"):
            process.read_frame(20)


@needs_gstreamer
def test_a_slow_reader_sees_new_pictures() -> None:
    with running(request("is-live=true pattern=ball", SINK, size="1280x720")) as process:
        process.read_frame(20)
        time.sleep(1)
        # One was on its way through the pipe, the next is what the sink kept: the newest.
        process.read_frame(20)
        age_ns = time.monotonic_ns() - process.read_frame(20).header.captured_ns
    assert age_ns < 0.5e9


@needs_gstreamer
def test_the_end_of_the_stream_is_a_failure_that_says_so() -> None:
    with running(request("num-buffers=2")) as process:
        process.read_frame(20)
        process.read_frame(20)
        with pytest.raises(GStreamerFailure, match="the camera ended the stream"):
            process.read_frame(20)


@needs_gstreamer
@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("nosuchelement ! appsink name=frames", 'no element "nosuchelement"'),
        ("videotestsrc nosuchproperty=1 ! appsink name=frames", "no property"),
        ("videotestsrc ! ", "syntax error"),
        ("", "empty pipeline"),
        ("filesrc location=/nowhere/x ! appsink name=frames", "not found"),
    ],
)
def test_a_pipeline_that_cannot_run_says_why(description: str, said: str) -> None:
    with running(PipelineRequest(description)) as process:
        with pytest.raises(GStreamerFailure) as caught:
            process.read_frame(20)
    failure = caught.value
    assert said in f"{failure.message} {failure.detail}".lower().replace("resource ", "")
    assert failure.domain


@needs_gstreamer
def test_properties_are_texts_and_never_elements() -> None:
    text = '/tmp/a b" ! filesink location=/tmp/planted'
    wanted = PipelineRequest(
        "filesrc name=source ! appsink name=frames", {"source": {"location": text}}
    )
    with running(wanted) as process, pytest.raises(GStreamerFailure) as caught:
        process.read_frame(20)
    assert text in caught.value.detail
    assert not Path("/tmp/planted").exists()


@needs_gstreamer
def test_the_command_line_shows_no_property() -> None:
    wanted = PipelineRequest(
        f"videotestsrc name=source ! video/x-raw,format=BGR ! {SINK}",
        {"source": {"name": "geheim"}},
    )
    with running(wanted) as process:
        process.read_frame(20)
        assert b"geheim" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"geheim" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    assert "geheim" not in repr(wanted)


@needs_gstreamer
def test_silence_ends_the_wait() -> None:
    with running(PipelineRequest(f"appsrc ! video/x-raw,format=BGR ! {SINK}")) as process:
        started = time.monotonic()
        with pytest.raises(PictureTimeout):
            process.read_frame(0.2)
        assert time.monotonic() - started < 10


@needs_gstreamer
def test_a_killed_process_is_a_failure_and_its_half_picture_is_thrown_away() -> None:
    with running(request("is-live=true", SINK, size="1920x1080")) as process:
        process.read_frame(20)
        time.sleep(0.3)  # the next picture fills the pipe: it is larger
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(GStreamerFailure, match="ended by signal SIGKILL"):
            process.read_frame(20)


@needs_gstreamer
def test_a_frozen_process_is_silence_and_is_killed_all_the_same() -> None:
    process = GStreamerProcess(request("is-live=true", SINK))
    process.read_frame(20)
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(PictureTimeout):
        while True:
            process.read_frame(0.2)
    process.close()
    assert is_gone(process.pid)


@needs_gstreamer
def test_closing_leaves_neither_a_process_nor_a_zombie_nor_a_pipe() -> None:
    pipes = len(os.listdir("/proc/self/fd"))
    for source in ("is-live=true", "num-buffers=1"):
        process = GStreamerProcess(request(source, SINK, size="1280x720"))
        process.read_frame(20)
        process.close()
        process.close()
        assert is_gone(process.pid)
    assert len(os.listdir("/proc/self/fd")) == pipes


@needs_gstreamer
def test_the_process_ends_when_its_parent_is_killed() -> None:
    # After the first picture it waits for long: it does not notice by writing to a closed pipe.
    description = request("is-live=true", SINK).description.replace("30/1", "1/100")
    code = (
        "import time\n"
        "from runtime.gstreamer_process import GStreamerProcess, PipelineRequest\n"
        f"process = GStreamerProcess(PipelineRequest({description!r}))\n"
        "process.read_frame(20)\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(pid)


def fake_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str) -> GStreamerProcess:
    """Start a process that does something else than it should."""
    script = tmp_path / "child.py"
    script.write_text(f"import os, sys, time\n{body}\n")
    monkeypatch.setattr(gstreamer_process, "CHILD", script)
    return GStreamerProcess(PipelineRequest("anything"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("os.write(1, b'hello, this is no picture at all ......')", "something else than pictures"),
        ("os.write(1, b'CRT1' + b'\\xff' * 60)", "something else than pictures"),
        ("os.write(1, b'CRT1')", "GStreamer ended"),
        ("os.write(2, b'libfoo.so: cannot open\\n'); sys.exit(3)", "GStreamer ended with status 3"),
        ('os.write(2, b\'{"error": 5, "code": 1}\\n\')', "5"),
        ("os.write(2, b'{\"error\": \\n[1]\\n{}\\n')", "GStreamer ended"),
        ("os.write(2, bytes(range(256)) * 100)", "GStreamer ended"),
    ],
)
def test_a_child_that_talks_nonsense_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, said: str
) -> None:
    process = fake_child(monkeypatch, tmp_path, body)
    with pytest.raises(GStreamerFailure, match=said):
        process.read_frame(20)
    process.close()


def test_the_last_words_of_a_crash_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = "os.write(2, b'first\\nlibfoo.so: cannot open\\n'); os.abort()"
    process = fake_child(monkeypatch, tmp_path, body)
    with pytest.raises(GStreamerFailure, match="by signal SIGABRT") as caught:
        process.read_frame(20)
    assert caught.value.detail == "libfoo.so: cannot open"
    process.close()


def test_a_child_that_writes_much_on_standard_error_does_not_block(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = "os.set_blocking(2, True)\nfor _ in range(500): os.write(2, b'noise' * 400 + b'\\n')"
    process = fake_child(monkeypatch, tmp_path, body)
    with pytest.raises(GStreamerFailure, match="GStreamer ended"):
        process.read_frame(20)
    assert len(process._foreign_lines) <= gstreamer_process.KEPT_LINES
    process.close()
