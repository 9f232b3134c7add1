"""Numbers from files that a kernel makes up on reading: small, slow, and gone at any moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# No file that is read here is longer; one that is holds something else.
LARGEST_BYTES = 64 * 1024
# Longer numbers are no measurement; Python refuses to convert very long ones.
LONGEST_NUMBER = 20


@dataclass(frozen=True)
class Gauge:
    """A file with one number, and what the number means.

    Attributes:
        path: The file.
        scale: One unit of the file in the unit wanted: 1e-3 for a file in millidegrees.
        low: The smallest value that can be true; what is less is no reading.
        high: The largest.
    """

    path: Path
    scale: float
    low: float
    high: float

    def read(self) -> float | None:
        """Return the value; None if the file is gone, holds no number, or one that cannot be."""
        number = read_number(self.path)
        if number is None:
            return None
        value = number * self.scale
        return value if self.low <= value <= self.high else None


def read_text(path: Path) -> str | None:
    """Return a file's text without the blanks and NULs around it; None if it cannot be read.

    A sensor that sleeps answers EAGAIN and a CPU that was taken off ENODEV: both are no reading.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        return os.read(handle, LARGEST_BYTES).decode(errors="replace").strip("\0 \t\r\n")
    except OSError:
        return None
    finally:
        os.close(handle)


def read_number(path: Path) -> int | None:
    """Return the whole number that a file starts with, such as 32760 of "32760 ma"."""
    words = (read_text(path) or "").split(maxsplit=1)
    if not words or len(words[0]) > LONGEST_NUMBER:
        return None
    try:
        return int(words[0])
    except ValueError:
        return None


def fault_of(path: Path) -> str:
    """Say why a file cannot be read; "" if it can be, or answers that its sensor sleeps."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return "no permission"
    except (FileNotFoundError, NotADirectoryError):
        return "not there"
    except OSError as error:
        return os.strerror(error.errno or errno.EIO)
    os.close(handle)
    return ""


def find_paths(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield what matches a pattern in a folder, sorted by number: "zone10" after "zone9".

    A folder that is absent or closed to this user holds nothing.
    """
    try:
        found = list(folder.glob(pattern))
    except OSError:
        found = []
    yield from sorted(found, key=_natural_order)


def _natural_order(path: Path) -> tuple[str, int, str]:
    name = path.as_posix()
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :][:LONGEST_NUMBER]
    return stem, int(digits or 0), name
