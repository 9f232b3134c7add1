"""The report as a whole: order, exit status, checks that fail or hang."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runtime import doctor
from runtime.doctor import SECTIONS, Check, run_doctor
from runtime.findings import Ability, Finding, missing, ok
from runtime.machine import Answer, Machine
from tests.fakes.machine import FakeMachine


def pictures(_machine: Machine) -> list[Finding]:
    return [ok("OpenCV", Ability.PICTURES)]


def network(_machine: Machine) -> list[Finding]:
    return [ok("ONNX Runtime", Ability.NETWORK)]


def lacks(_machine: Machine) -> list[Finding]:
    return [missing("no x", "y", "install x")]


def breaks(_machine: Machine) -> list[Finding]:
    raise RuntimeError("a file\nof nonsense")


def diagnose(root: Path, *checks: Check, timeout_s: float = 60.0) -> int:
    return run_doctor(FakeMachine(root), {"title": checks}, timeout_s)


def test_a_machine_that_can_stream_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diagnose(tmp_path, lacks, pictures, network) == 0
    assert capsys.readouterr().out.splitlines() == [
        "title",
        "  missing  no x (for y)",
        "           -> install x",
        "  ok       OpenCV",
        "  ok       ONNX Runtime",
        "a stream can run here",
    ]


@pytest.mark.parametrize(
    ("checks", "lacking"),
    [
        ([pictures], "a backend that runs a network"),
        ([network], "OpenCV"),
        ([], "OpenCV and a backend that runs a network"),
    ],
)
def test_a_machine_that_cannot_stream_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], checks: list[Check], lacking: str
) -> None:
    assert diagnose(tmp_path, *checks) == 2
    assert capsys.readouterr().out.endswith(f"a stream cannot run here yet: it lacks {lacking}\n")


def test_a_check_that_fails_is_a_line_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diagnose(tmp_path, breaks, pictures, network) == 0
    assert "note     breaks could not be finished (a file of nonsense)" in capsys.readouterr().out


def test_a_check_that_hangs_is_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    let_go = threading.Event()

    def hangs(_machine: Machine) -> list[Finding]:
        let_go.wait(60)
        return []

    # The others are done within moments; on a busy machine they may miss so short a time, too.
    diagnose(tmp_path, hangs, pictures, network, timeout_s=0.5)
    let_go.set()
    assert "note     hangs took longer than 0.5 s" in capsys.readouterr().out


def test_every_check_bears_a_machine_that_has_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_doctor(FakeMachine(tmp_path)) == 2
    out = capsys.readouterr().out
    assert "could not be finished" not in out
    assert [title for title in SECTIONS if title in out.splitlines()] == list(SECTIONS)


def test_every_check_bears_a_machine_of_nonsense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = Answer(True, "\ufffd{[\n" * 20)
    machine = FakeMachine(tmp_path, {"": noise}, {"": noise}, ["tensorrt", "tensorrt_rtx"])
    for name in ("/etc/nv_tegra_release", "/proc/driver/nvidia/version", "/etc/os-release"):
        machine.add(name, "\x00# R (release), REVISION: ..\n")
    machine.add("/dev/video0").add("/checkout/build/x.json", "[[").add("/checkout/build/x", "")
    run_doctor(machine)
    assert "could not be finished" not in capsys.readouterr().out


def test_it_runs_as_a_file_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(doctor.__file__))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode in (0, 2), done.stderr) == (True, "")
    assert f"no model in {tmp_path}/build/" in done.stdout


def test_it_runs_where_opencv_is_missing(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    root = Path(doctor.__file__).parents[1]
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]; "
    code += "from runtime.doctor import SECTIONS, run_doctor; assert 'cv2' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
