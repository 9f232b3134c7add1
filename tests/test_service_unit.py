"""The unit file in docs/ is one that systemd takes, and fits what the program does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from runtime.options import read_options
from runtime.pipeline import DRAIN_TIMEOUT_S
from runtime.service_notify import LOOK_EVERY_S
from runtime.sink_group import SINK_TIMEOUT_S

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "docs" / "cornerrt.service"


def settings(text: str) -> dict[str, list[str]]:
    """Return a unit's settings: a key may be given several times."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            key, equals, value = line.partition("=")
            assert equals, line
            found[key].append(value)
    return found


def test_systemd_is_told_and_restarts() -> None:
    unit = settings(UNIT.read_text("utf-8"))
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert float(unit["WatchdogSec"][0]) >= 2 * LOOK_EVERY_S
    # Children must live on until the program has closed its files, which it is given time for.
    assert unit["KillMode"] == ["mixed"]
    assert float(unit["TimeoutStopSec"][0]) > DRAIN_TIMEOUT_S + SINK_TIMEOUT_S


def test_cameras_and_gpu_stay_within_reach() -> None:
    unit = settings(UNIT.read_text("utf-8"))
    assert "PrivateDevices" not in unit
    assert "PrivateNetwork" not in unit
    assert "MemoryDenyWriteExecute" not in unit
    assert {"char-video4linux rw", "char-nvidia* rw"} <= set(unit["DeviceAllow"])
    assert unit["SupplementaryGroups"] == ["video"]


def test_command_line_is_one_that_the_program_takes() -> None:
    command = settings(UNIT.read_text("utf-8"))["ExecStart"][0].split()
    script = Path(command[1]).relative_to("/opt/cornerrt")
    assert (ROOT / script).is_file()
    words = [word.replace("/etc/cornerrt", str(ROOT / "docs")) for word in command[2:]]
    assert read_options(words).from_file


def test_systemd_takes_it(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, of the Debian package systemd")
    text = UNIT.read_text("utf-8").replace("/opt/cornerrt/.venv/bin/python", sys.executable)
    path = tmp_path / UNIT.name
    path.write_text(text.replace("/opt/cornerrt", str(ROOT)), "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    mine = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert not mine, done.stderr
    assert done.returncode == 0, done.stderr
