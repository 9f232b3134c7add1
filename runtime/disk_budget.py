"""Keeps a folder of pictures within its share of the disk."""

from __future__ import annotations

import enum
import re
import shutil
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import OutputError
from runtime.output_faults import explained

RESERVE_BYTES = 250 * 10**6  # left to the system and its logs, whatever the budget says
# How our files begin: UTC time, so that names sort by time. Others are neither counted nor deleted.
OUR_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z-.*\.(jpg|json)")


class WhenFull(enum.Enum):
    """What happens when the budget is used up; values are the command line's."""

    STOP = "stop"
    DROP_OLDEST = "drop-oldest"


@dataclass(frozen=True)
class BudgetOptions:
    """How much may lie in a folder.

    Attributes:
        most_bytes: Of our files, those of earlier streams included; None for no limit.
        when_full: What happens then.
        reserve_bytes: Stays free on the disk in any case.
    """

    most_bytes: int | None
    when_full: WhenFull
    reserve_bytes: int = RESERVE_BYTES


class DiskBudget:
    """Counts the files of one folder and says whether one more fits.

    Use from one thread, and one object per folder.

    Args:
        folder: Exists; subfolders are not looked at.
        options: The limits.

    Attributes:
        used_bytes: Of our files in the folder.
    """

    def __init__(self, folder: Path, options: BudgetOptions) -> None:
        self._folder = folder
        self._options = options
        self._files: deque[tuple[Path, int]] = deque()  # that may go, the oldest first
        self.used_bytes = 0
        for path in sorted(folder.iterdir()):
            if OUR_NAME.fullmatch(path.name) and path.is_file():
                self.add(path, path.stat().st_size)

    def make_room(self, size: int) -> str:
        """Prepare for a file of so many bytes, deleting the oldest where that is agreed.

        Returns:
            Empty if there is room; otherwise why not.

        Raises:
            OSError: If the folder is gone, or an old file cannot be deleted.
        """
        most, reserve = self._options.most_bytes, self._options.reserve_bytes
        while most is not None and self.used_bytes + size > most:
            if not self._files:
                return f"its budget of {bytes_text(most)} is used up"
            path, freed = self._files.popleft()
            path.unlink(missing_ok=True)
            self.used_bytes -= freed
        # Nothing is deleted for the reserve: another program may be filling the disk.
        free = shutil.disk_usage(self._folder).free
        if free - size < reserve:
            return f"the disk has {bytes_text(free)} left; {bytes_text(reserve)} stay free"
        return ""

    def add(self, path: Path, size: int) -> None:
        """Count a file that was written, the newest from now on.

        In the order of writing, not of names: a device whose clock starts in 1970 until it finds
        the network must not delete its newest pictures first.
        """
        if self._options.when_full is WhenFull.DROP_OLDEST:
            self._files.append((path, size))
        self.used_bytes += size


def bytes_text(size: int) -> str:
    """Return a number of bytes for people, such as ``1.5 GB``."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"


def check_reserve(option: str, path: Path, reserve_bytes: int | None = None) -> None:
    """Refuse to go on with a file while there is still room to finish it.

    Args:
        option: That asks for the file, without dashes, for the message.
        path: The file; its folder exists.
        reserve_bytes: What stays free; None for ``RESERVE_BYTES``.

    Raises:
        OutputError: If less is free, or the folder is gone.
    """
    reserve = RESERVE_BYTES if reserve_bytes is None else reserve_bytes
    with explained(option, path):
        free = shutil.disk_usage(path.parent).free
    if free < reserve:
        raise OutputError(
            f"--{option} stops before it fills the disk of {path}, which has {bytes_text(free)} "
            f"left; expected {bytes_text(reserve)}, which stay free; delete something"
        )
