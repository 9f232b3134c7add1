"""A real RTSP server in a process of its own, to be killed and started again."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from types import TracebackType

from runtime.errors import UsageError

REPOSITORY = Path(__file__).resolve().parents[1]
SERVER = f"/usr/bin/python3 {REPOSITORY / 'tests' / 'fakes' / 'rtsp_server_process.py'}"
SERVED = {
    "size": [640, 480],
    "rate": 30,
    "key_distance": 30,
    "codec": "h264",
    "kbit": 1000,
    "pattern": "ball",
    "user": "",
    "password": "",
    "digest": True,
    "audio": False,
}


class RtspServerProcess:
    """A server in a process of its own, always on one port.

    Args:
        command: What to start; takes its settings as JSON and prints its port.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, command: str) -> None:
        self.port = 0
        self._command = command
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            UsageError: If it does not.
        """
        words = [*shlex.split(self._command), json.dumps({**SERVED, "port": self.port})]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip().isdecimal():
            self.kill()
            raise UsageError(
                f"--rtsp-server got {self._command!r}, which printed {line.strip()!r}; expected "
                "its port; its reason is above"
            )
        self.port = int(line)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> RtspServerProcess:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self.kill()
