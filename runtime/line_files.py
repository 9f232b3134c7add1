"""Files of lines: one that appears when it is complete, and one that grows, rotates and stays."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runtime.atomic_file import partial_path
from runtime.errors import OutputError
from runtime.output_faults import explained, remove_if_possible

SYNC_EVERY_S = 1.0  # a power cut costs at most the lines of this time
LONGEST_HEADER = 4096  # bytes of an earlier file that are compared with the header


@dataclass(frozen=True)
class Rotation:
    """When a growing file is set aside and a new one begun.

    Attributes:
        size_bytes: Before it becomes larger than this; None for never.
        age_s: After so long, counted from when this process began to write it; None for never.
        keep: How many files that were set aside are kept, at least 1; older ones are deleted.
    """

    size_bytes: int | None
    age_s: float | None
    keep: int


class LineFile(Protocol):
    """Takes text that consists of whole lines."""

    def write(self, lines: str) -> None:
        """Add lines, maybe none. Raises ``OutputError`` if they cannot be written."""
        ...

    def close(self) -> None:
        """Finish. Raises as ``write`` does."""
        ...

    def discard(self) -> None:
        """Give up."""
        ...


def open_line_file(
    option: str, path: Path, rotation: Rotation | None, header: str = ""
) -> LineFile:
    """Open a file of lines.

    Args:
        option: That asks for the file, without dashes, for messages.
        path: The file; its folder is created.
        rotation: None for a file that appears under its name, complete, at ``close``, as fits a
            source that ends. Otherwise it grows under its name from the start, as fits a camera.
        header: First line, with its line end.

    Raises:
        OutputError: If it cannot be written.
    """
    with explained(option, path):
        if rotation is None:
            return CompleteFile(option, path, header)
        return GrowingFile(option, path, rotation, header)


class CompleteFile:
    """Lies under another name until ``close``; see ``open_line_file``."""

    def __init__(self, option: str, path: Path, header: str) -> None:
        self._option = option
        self._path = path
        self._partial = partial_path(path)
        self._stream = self._partial.open("w", encoding="utf-8", newline="")
        self._stream.write(header)

    def write(self, lines: str) -> None:
        """Add lines."""
        with explained(self._option, self._path):
            self._stream.write(lines)

    def close(self) -> None:
        """Give the file its name."""
        if self._stream.closed:
            return
        with explained(self._option, self._path):
            self._stream.close()
            os.replace(self._partial, self._path)

    def discard(self) -> None:
        """Drop the file."""
        with contextlib.suppress(OSError):  # a full disk refuses the last lines once more
            self._stream.close()
        remove_if_possible(self._partial)


class GrowingFile:
    """Adds to a file that others may read, copy or move at the same time.

    Each call's lines reach the system in one write, so that ``tail -F`` shows whole lines, and the
    disk at most a second later. Rotation renames the file to ``NAME.1``, the one before to
    ``NAME.2`` and so on, as logrotate does. A file that somebody moves or deletes is begun anew;
    without its folder there is an error, since nobody would ever read what is written.
    """

    def __init__(self, option: str, path: Path, rotation: Rotation, header: str) -> None:
        self._option = option
        self._path = path
        self._rotation = rotation
        self._header = header.encode()
        self._descriptor: int | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def write(self, lines: str) -> None:
        """Add lines, in a new file if it is time."""
        descriptor = self._descriptor
        if descriptor is None:
            raise OutputError(f"{self._path} is closed")
        data = lines.encode()
        with explained(self._option, self._path):
            if data and self._is_rotation_due(os.fstat(descriptor).st_size, len(data)):
                self._rotate()
            self._append(data)
            if time.monotonic() - self._synced_s >= SYNC_EVERY_S:
                self._sync()

    def close(self) -> None:
        """See that the disk has it all."""
        if self._descriptor is None:
            return
        with explained(self._option, self._path):
            try:
                os.fsync(self._descriptor)
            finally:
                self._release()

    def discard(self) -> None:
        """Close the file; what others could read already stays, and an empty one goes."""
        if self._descriptor is None:
            return
        is_empty = os.fstat(self._descriptor).st_size <= len(self._header)
        self._release()
        if is_empty:
            remove_if_possible(self._path)

    def _open(self) -> None:
        """Open the file to add to it, and see to it that it begins and goes on with a whole line.

        Raises:
            OutputError: If there is a file that begins with another header.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o644)
        self._opened_s = self._synced_s = time.monotonic()
        size = os.fstat(self._descriptor).st_size
        if size == 0:
            self._append(self._header)
            return
        if os.pread(self._descriptor, LONGEST_HEADER, 0)[: len(self._header)] != self._header:
            self._release()
            raise OutputError(
                f"--{self._option} got {self._path}, which begins otherwise than what this program "
                "writes; expected an earlier file of its own or none; choose another name"
            )
        if os.pread(self._descriptor, 1, size - 1) != b"\n":  # cut off by a power cut
            self._append(b"\n")

    def _append(self, data: bytes) -> None:
        """Write all or nothing, so that a full disk leaves no part of a line."""
        assert self._descriptor is not None
        size = os.fstat(self._descriptor).st_size
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            if written:
                os.ftruncate(self._descriptor, size)
            raise

    def _is_rotation_due(self, size: int, added: int) -> bool:
        rotation = self._rotation
        if size <= len(self._header):  # nothing in it yet
            return False
        too_large = rotation.size_bytes is not None and size + added > rotation.size_bytes
        age_s = time.monotonic() - self._opened_s
        return too_large or (rotation.age_s is not None and age_s >= rotation.age_s)

    def _rotate(self) -> None:
        """Set the file aside, and those before it one further; the last is overwritten."""
        self._release()
        names = [self._path] + [
            self._path.with_name(f"{self._path.name}.{number}")
            for number in range(1, self._rotation.keep + 1)
        ]
        for newer, older in reversed(list(itertools.pairwise(names))):
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, older)
        self._open()

    def _sync(self) -> None:
        """Bring what was written to the disk, and begin anew if the file is not there any more."""
        assert self._descriptor is not None
        os.fsync(self._descriptor)
        self._synced_s = time.monotonic()
        try:
            is_ours = os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            self._release()
            self._open()

    def _release(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
