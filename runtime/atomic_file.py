"""Write a file completely or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def partial_path(path: Path) -> Path:
    """Return where to write ``path`` before renaming; creates the folder.

    The partial file keeps the suffix of ``path``, since writers choose a format by it, and lies in
    the same folder, so that the rename is atomic.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


@contextlib.contextmanager
def replace_when_done(path: Path) -> Iterator[Path]:
    """Give the caller a temporary path and rename it to ``path`` when the block ends well.

    The temporary file is removed when the block raises. An error of the operating system that names
    it, or no file at all, as where the disk is full, names ``path``.

    Args:
        path: The final file; its folder is created.

    Yields:
        The temporary path to write to.
    """
    partial = partial_path(path)
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        # The user knows the final name only; a write into an open file names none.
        if error.filename == str(partial) or (error.errno and error.filename is None):
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to ``path`` atomically; the folder is created."""
    with replace_when_done(path) as partial:
        partial.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as lower-case hex, reading it in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder's lock: two files that belong together are replaced as one.

    Args:
        folder: Must exist; other processes that ask for its lock wait.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # releases the lock
