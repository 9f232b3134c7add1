"""Disks that are small, read-only or full, for real where this process may mount some."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "64k") -> Iterator[Path]:
    """Mount an empty disk of a few kilobytes on a new folder; skips the test without the right."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    _run_or_skip(command)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Let nobody write to a small disk any more, not even root."""
    _run_or_skip(["mount", "-o", "remount,ro", str(folder)])


def _run_or_skip(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("mounting needs root and the Debian package mount")
