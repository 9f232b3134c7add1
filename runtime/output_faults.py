"""Says in one line why an output cannot be written, and what to do about it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import OutputError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE})


@contextlib.contextmanager
def explained(option: str, path: Path) -> Iterator[None]:
    """Turn the operating system's complaint about an output into an ``OutputError``.

    Args:
        option: That asked for the output, without dashes.
        path: The output as the user knows it.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(fault_message(option, path, error)) from error


def remove_if_possible(path: Path) -> None:
    """Remove what is left of an output; a disk that has failed keeps it."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def fault_message(option: str, path: Path, error: OSError) -> str:
    """Return the line for an error of the operating system."""
    number = error.errno
    if number in NO_ROOM:
        advice = f"expected room on the disk; free some, or choose another --{option}"
    elif number in NOT_OURS:
        advice = f"expected a folder of yours; choose another --{option}"
    elif number in GONE:
        advice = f"expected {path.parent} to stay; was it deleted, or its disk unplugged?"
    else:
        advice = f"expected a writable disk; choose another --{option}"
    return f"--{option} cannot write {path} ({error.strerror or error}); {advice}"
