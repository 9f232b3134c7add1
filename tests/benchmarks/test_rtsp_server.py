"""A server that is killed and comes back on its port, and one that does not start."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from benchmarks.rtsp_server import RtspServerProcess
from runtime.errors import UsageError

# Listens where it is told, or where the system chooses, as the real one does.
SERVER = """
import json, socket, sys
port = json.loads(sys.argv[1])["port"]
with socket.create_server(("127.0.0.1", port)) as listener:
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
"""


def test_it_comes_back_on_its_port(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    with RtspServerProcess(f"{sys.executable} {script}") as server:
        port = server.port
        socket.create_connection(("127.0.0.1", port)).close()
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        server.kill()  # does nothing more
        server.start()
        assert server.port == port
        socket.create_connection(("127.0.0.1", port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_server_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text("print('no port')")
    server = RtspServerProcess(f"{sys.executable} {script}")
    with pytest.raises(UsageError, match="printed 'no port'; expected its port"):
        server.start()
