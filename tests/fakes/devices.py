"""Plants the file systems of devices that lie in tests/data/devices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1] / "data" / "devices"
DEVICES = ("orin-nano", "orin-nx", "agx-orin", "agx-thor", "agx-xavier-jetpack4")


def plant_device(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plant one device's files in a folder; those for root stay closed, also if root runs tests."""
    closed = []
    for line in (DATA / f"{name}.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        path, mark, value = line.split(" ", maxsplit=2)
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a") as stream:
            stream.write(f"{value}\n" if mark == "=" else "")
        if value == "EACCES":
            closed.append(target)
    close_files(monkeypatch, *closed)
    return root


def close_files(monkeypatch: pytest.MonkeyPatch, *closed: Path) -> None:
    """Let these files answer "permission denied", also to root."""
    really_open = os.open

    def open_or_refuse(path: str | Path, flags: int, *rest: int, **named: int) -> int:
        if Path(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return really_open(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", open_or_refuse)


def tegrastats_lines() -> list[str]:
    """Return one line of output for each format, oldest first."""
    lines = (DATA / "tegrastats.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]
