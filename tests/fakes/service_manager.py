"""A socket that listens as systemd does."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path


class FakeServiceManager:
    """Receives what a service says.

    Args:
        address: Of a Unix socket; a leading "@" stands for a name that is in no file system.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.heard: list[str] = []

    def listen(self, until: str, timeout_s: float = 60.0) -> list[str]:
        """Return what was said up to a message that begins with ``until``."""
        deadline = time.monotonic() + timeout_s
        said: list[str] = []
        while not said or not said[-1].startswith(until):
            self._socket.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                said.append(self._socket.recv(65536).decode())
            except TimeoutError:
                raise AssertionError(f"no {until!r} in {timeout_s:g} s, only {said}") from None
        self.heard += said
        return said

    def waiting(self) -> list[str]:
        """Return what was said since, without waiting."""
        self._socket.setblocking(False)
        said: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(self._socket.recv(65536).decode())
        self.heard += said
        return said

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def service_manager(folder: Path) -> Iterator[FakeServiceManager]:
    """Listen at a socket in a folder."""
    manager = FakeServiceManager(str(folder / "notify"))
    with contextlib.closing(manager):
        yield manager
