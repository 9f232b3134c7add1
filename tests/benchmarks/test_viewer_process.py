"""The viewers' process against a server that sends parts in pieces."""

from __future__ import annotations

import socket
import subprocess
import sys

from benchmarks.streaming_viewers import VIEWER_PROCESS
from benchmarks.viewer_process import PART, Viewer

TIMEOUT_S = 30


def served(listener: socket.socket) -> socket.socket:
    listener.settimeout(TIMEOUT_S)
    return listener.accept()[0]


def test_a_header_that_comes_in_two_pieces_counts_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        viewer = Viewer(listener.getsockname()[1], "/x")
        with served(listener) as connection, viewer.connection:
            assert connection.recv(1000).startswith(b"GET /x HTTP/1.1\r\n")
            for piece, pictures in ((PART[:9], 0), (PART[9:], 1), (b"jpeg", 1), (PART * 2, 3)):
                connection.sendall(piece)
                assert viewer.read()
                assert viewer.pictures == pictures
            connection.shutdown(socket.SHUT_WR)
            assert not viewer.read()


def test_the_process_reports_when_all_see_and_what_each_saw() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        words = [sys.executable, str(VIEWER_PROCESS), str(listener.getsockname()[1]), "/x", "2"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(words, text=True, **pipes) as process:  # type: ignore[call-overload]
            first, second = served(listener), served(listener)
            with first, second:
                first.sendall(PART)
                second.sendall(PART)
                assert process.stdout.readline() == "ready\n"
                said, _ = process.communicate("stop\n", TIMEOUT_S)
    assert said == "1 1\n" and process.returncode == 0
