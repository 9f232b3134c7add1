"""What holds for every command: one error line, status 2, and help."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

COMMANDS = (
    "calibration.calibrate",
    "calibration.quantization_plan",
    "calibration.quantize_by_plan",
    "calibration.report",
    "calibration.sensitivity",
    "detectors.evaluate",
    "detectors.explain",
    "detectors.shapes",
    "detectors.train",
    "export.build_engine",
    "export.choose_target",
    "export.compare",
    "export.export_onnx",
    "export.roofline",
    "export.verify",
    "runtime.cold_start",
    "runtime.device_monitor",
    "runtime.doctor",
    "runtime.measure",
    "runtime.stream",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_option_is_one_line_that_names_the_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert importlib.import_module(command).main(["--frobnicate"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    scripts = {"runtime.measure": "measure.py", "runtime.stream": "stream.py"}
    prog = scripts.get(command, f"python -m {command}")
    assert line.endswith(f"; see: {prog} --help")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_status_0_and_explains_every_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        importlib.import_module(command).main(["--help"])
    assert stop.value.code == 0
    assert "show this help message" in capsys.readouterr().out


def test_no_command_is_forgotten() -> None:
    root = Path(__file__).parents[1]
    found = {
        f"{path.parent.name}.{path.stem}"
        for package in ("runtime", "plugins", "detectors", "export", "calibration")
        for path in (root / package).glob("*.py")
        if "def main(" in path.read_text()
    }
    assert found == set(COMMANDS)
