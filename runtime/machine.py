"""What can be asked of the machine that this runs on; a test passes one of its own making."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAM_TIMEOUT_S = 5.0
# A library of a gigabyte is loaded from a slow card.
MODULE_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Answer:
    """What a program said.

    Attributes:
        succeeded: Whether it was there, ended in time and with status 0.
        text: Its output; else in one line why not.
    """

    succeeded: bool
    text: str


class Machine:
    """Files, programs and Python modules, asked without loading a library into this process.

    Args:
        root: Where its files are; another than "/" in tests.
        working_folder: The current one, which holds ``build/``.
    """

    def __init__(self, root: Path = Path("/"), working_folder: Path = Path()) -> None:
        self._root = root
        self.working_folder = working_folder

    def path(self, name: str) -> Path:
        """Return where a file of the machine, such as "/etc/os-release", is found here."""
        return self._root / name.lstrip("/")

    def read(self, name: str) -> str:
        """Return a small file's text; empty if it cannot be read."""
        try:
            data = self.path(name).read_bytes()
        except OSError:
            return ""
        return data.decode(errors="replace").replace("\0", " ").strip()  # as in a device tree

    def exists(self, name: str) -> bool:
        """Say whether a file or folder exists."""
        return self.path(name).exists()

    def find(self, pattern: str) -> list[str]:
        """Return the files that match a pattern such as "/dev/video*", sorted by name."""
        found = sorted(self._root.glob(pattern.lstrip("/")))
        return ["/" + path.relative_to(self._root).as_posix() for path in found]

    def may_open(self, name: str) -> bool:
        """Say whether this user may read and write a file."""
        return os.access(self.path(name), os.R_OK | os.W_OK)

    def run(self, *command: str, timeout_s: float = PROGRAM_TIMEOUT_S) -> Answer:
        """Run a program to its end; never raises."""
        return _run(command, timeout_s)

    def run_python(self, code: str) -> Answer:
        """Run a line in a new process of this Python that finds our packages; never raises."""
        return _run([sys.executable, "-c", code], MODULE_TIMEOUT_S, cwd=REPOSITORY)

    def has_module(self, name: str) -> bool:
        """Say whether a top-level module is installed, without importing it."""
        try:
            return importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            return False

    def query(self, name: str, request: int, size: int) -> bytes | None:
        """Return what a device answers to an ioctl that only reads; None if it does not."""
        import fcntl  # not on every system

        buffer = bytearray(size)
        try:
            handle = os.open(self.path(name), os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            fcntl.ioctl(handle, request, buffer)
        except OSError:
            return None
        finally:
            os.close(handle)
        return bytes(buffer)

    def elements(self, names: Sequence[str]) -> frozenset[str]:
        """Return those of these GStreamer elements that are installed and work here."""
        from runtime.gstreamer import find_elements

        return find_elements(tuple(names))

    @property
    def is_container(self) -> bool:
        """Whether it looks like a container, which sees only the devices it was given."""
        return self.exists("/.dockerenv") or self.exists("/run/.containerenv")


def _run(command: Sequence[str], timeout_s: float, cwd: Path | None = None) -> Answer:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return Answer(False, f"no answer in {timeout_s:g} s")
    except OSError as error:
        return Answer(False, error.strerror or "cannot be run")
    if done.returncode == 0:
        return Answer(True, done.stdout.decode(errors="replace").strip())
    said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return Answer(False, said[-1].strip() if said else f"ended with status {done.returncode}")
