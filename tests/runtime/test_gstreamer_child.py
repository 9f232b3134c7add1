"""The process in which GStreamer runs, as a program: what it takes, says and how it ends."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from runtime.gstreamer import find_elements
from runtime.gstreamer_process import CHILD
from runtime.raw_frames import HEADER_BYTES, unpack_header

needs_gstreamer = pytest.mark.skipif(
    not find_elements(("videotestsrc", "appsink")),
    reason="needs the Debian package gstreamer1.0-plugins-base",
)
SOURCE = "videotestsrc pattern=white num-buffers=2 ! video/x-raw,format=BGR,width=8,height=4"


def start(request: dict[str, object]) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-S", "-E", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(request).encode() + b"\n")
    return child


def finish(child: subprocess.Popen[bytes]) -> tuple[bytes, list[dict[str, object]]]:
    """Wait for the end, with standard input open, and return pictures and messages."""
    assert child.stdin and child.stdout and child.stderr
    output, messages = child.stdout.read(), child.stderr.read()
    child.wait(20)
    for pipe in (child.stdin, child.stdout, child.stderr):
        pipe.close()
    return output, [json.loads(line) for line in messages.split(b"\n") if line]


@needs_gstreamer
def test_it_writes_pictures_then_says_why_it_ends() -> None:
    child = start({"description": f"{SOURCE} ! appsink name=frames sync=false", "properties": {}})
    output, messages = finish(child)
    size = HEADER_BYTES + 8 * 3 * 4
    assert len(output) == 2 * size
    header = unpack_header(output[:HEADER_BYTES])
    assert (header.width, header.height, header.channels) == (8, 4, 3)
    assert set(output[HEADER_BYTES:size]) == {255}
    assert messages[0] == {"decoder": ""}
    assert messages[1]["error"] == "the camera ended the stream"
    assert child.returncode == 0


@needs_gstreamer
def test_it_ends_when_its_input_ends_while_it_waits_or_writes() -> None:
    waits = "appsrc ! video/x-raw,format=BGR ! appsink name=frames"
    large = "width=1920,height=1080"
    writes = f"videotestsrc ! video/x-raw,format=BGR,{large} ! appsink name=frames sync=false"
    for description in (waits, writes):
        child = start({"description": description, "properties": {}})
        assert child.stdin and child.stdout and child.stderr
        if description is writes:
            child.stdout.read(1000)  # it runs, and nobody reads the rest
        child.stdin.close()
        child.wait(20)
        child.stdout.close()
        child.stderr.close()


@needs_gstreamer
def test_it_ends_when_nobody_reads_any_more() -> None:
    source = "videotestsrc ! video/x-raw,format=BGR,width=640,height=480"
    child = start({"description": f"{source} ! appsink name=frames", "properties": {}})
    assert child.stdin and child.stdout and child.stderr
    child.stdout.read(1000)
    child.stdout.close()
    child.wait(20)
    child.stdin.close()
    child.stderr.close()


@needs_gstreamer
def test_it_says_which_elements_there_are() -> None:
    output, messages = finish(start({"elements": ["appsink", "nosuchelement"]}))
    assert output == b""
    assert messages == [{"elements": ["appsink"]}]


def test_it_imports_nothing_that_is_slow_or_may_be_missing() -> None:
    """The whole process needs the standard library only: it runs without site-packages."""
    for path in (CHILD, CHILD.with_name("raw_frames.py"), CHILD.with_name("gstreamer_library.py")):
        modules: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(str(node.module))
        others = {name for name in modules if name.split(".")[0] not in sys.stdlib_module_names}
        assert others <= {"runtime.raw_frames", "runtime.gstreamer_library"}
