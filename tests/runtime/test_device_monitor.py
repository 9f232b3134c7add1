"""Which monitor is opened, and the command that shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import device_monitor
from runtime.device_monitor import JoinedMonitor, collect_samples, main, open_monitor
from runtime.device_samples import DeviceSample
from runtime.errors import BackendError
from runtime.jetson_sysfs import JetsonMonitor
from tests.fakes.device_monitor import FakeMonitor, sample_at
from tests.fakes.devices import DEVICES, plant_device

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let a folder be this machine's root, on which no other monitor can be opened."""

    def refuse() -> FakeMonitor:
        raise BackendError("not here")

    monkeypatch.setattr(device_monitor, "HERE", tmp_path)
    monkeypatch.setattr(device_monitor, "_open_nvml", refuse)
    monkeypatch.setattr(device_monitor, "_open_tegrastats", refuse)
    return tmp_path


@pytest.mark.parametrize("device", DEVICES)
def test_a_copy_of_a_jetsons_files_is_read_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(device_monitor, "_open_nvml", lambda: pytest.fail("asked NVML"))
    monitor = open_monitor(plant_device(device, tmp_path, monkeypatch))
    assert isinstance(monitor, JetsonMonitor)
    assert monitor.total_rail in monitor.sample().power_mw


def test_a_folder_of_something_else_is_no_device(tmp_path: Path) -> None:
    assert open_monitor(tmp_path) is None


def test_a_machine_without_a_device_has_none(here: Path) -> None:
    assert open_monitor(here) is None


def test_without_nvidias_python_package_there_is_none(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack() -> FakeMonitor:
        raise ModuleNotFoundError("No module named 'pynvml'", name="pynvml")

    monkeypatch.setattr(device_monitor, "_open_nvml", lack)
    assert open_monitor(here) is None


def test_another_machine_is_read_through_nvml(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeMonitor([sample_at(0)])
    monkeypatch.setattr(device_monitor, "_open_nvml", lambda: gpu)
    assert open_monitor(here) is gpu


def test_an_orin_needs_nothing_but_its_files(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_device("orin-nano", here, monkeypatch)
    monkeypatch.setattr(device_monitor, "_open_nvml", lambda: pytest.fail("asked NVML"))
    assert isinstance(open_monitor(here), JetsonMonitor)


def test_a_thors_gpu_load_comes_from_nvml(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_device("agx-thor", here, monkeypatch)
    reading = DeviceSample(
        9, {"GPU board": 1.0}, {"gpu": 44.0}, {"gpu": 1.0}, {"gpu": 0.9}, ("cap",), 7.0
    )
    gpu = FakeMonitor([reading], "GPU board")
    monkeypatch.setattr(device_monitor, "_open_nvml", lambda: gpu)
    monitor = open_monitor(here)
    assert isinstance(monitor, JoinedMonitor)
    assert monitor.name == "Jetson AGX Thor Developer Kit (sysfs) and Fake Jetson"
    assert (monitor.total_rail, monitor.power_mode) == ("VIN", "120W")
    (missing,) = monitor.missing
    assert missing.startswith("memory load: no permission")
    sample = monitor.sample()
    assert sample.loads == {"gpu": 0.9}
    assert sample.clocks_mhz["gpu"] == 1575  # the files go first
    assert sample.temperatures_c["gpu"] == 44.0
    assert sample.throttled == ("cap",)
    assert sample.energy_mj is None  # it is not the whole device's
    monitor.close()
    assert gpu.is_closed


def test_a_gpu_without_a_load_leaves_it_missing(tmp_path: Path) -> None:
    files = JetsonMonitor(tmp_path)
    monitor = JoinedMonitor(files, FakeMonitor([sample_at(0)]))
    assert monitor.missing == files.missing


def test_a_thor_without_nvml_is_read_without_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_device("agx-thor", here, monkeypatch)
    assert isinstance(open_monitor(here), JetsonMonitor)


def test_where_the_files_have_no_power_tegrastats_is_asked(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_device("orin-nano", here, monkeypatch)
    (here / "sys/bus/i2c/devices/1-0040/name").unlink()
    program = FakeMonitor([sample_at(0, 5000)])
    monkeypatch.setattr(device_monitor, "_open_tegrastats", lambda: program)
    assert open_monitor(here) is program


def test_the_command_shows_a_line_a_second_and_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = plant_device("orin-nano", tmp_path / "root", monkeypatch)
    written = tmp_path / "samples.json"
    assert main(["--root", str(root), "--seconds", "0", "--json", str(written)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("(sysfs), power mode 25W")
    assert lines[-1].split()[:3] == ["0.0", "6.00", "50.0"]
    kept = json.loads(written.read_text())
    assert kept["format"] == "cornerrt-device-1"
    assert kept["total_rail"] == "VDD_IN"
    assert kept["samples"][0]["power_mw"]["VDD_IN"] == 6000
    assert kept["samples"][0]["energy_mj"] is None


def test_seconds_end_it() -> None:
    waited: list[float] = []
    lines: list[str] = []
    samples = collect_samples(FakeMonitor([sample_at(0, 1)]), 3, lines.append, waited.append)
    assert (len(samples), len(lines), waited) == (4, 4, [1.0, 1.0, 1.0])


def test_ctrl_c_is_its_usual_end_and_loses_nothing() -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    samples = collect_samples(FakeMonitor([sample_at(0, 1)]), None, lambda _line: None, interrupt)
    assert len(samples) == 1


def test_no_device_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --root got {tmp_path}, where no file tells of a Jetson; expect")
    assert line.endswith("name that folder")


@pytest.mark.parametrize("seconds", ["-1", "x", "nan", "inf"])
def test_seconds_that_are_none_are_refused(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--seconds={seconds}"]) == 2
    assert f"got '{seconds}'; expected seconds from 0" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = plant_device("orin-nano", tmp_path / "root", monkeypatch)
    assert main(["--root", str(root), "--json", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --json got ")


def test_it_runs_as_a_file_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant_device("agx-orin", tmp_path, monkeypatch)
    script = REPOSITORY / "runtime/device_monitor.py"
    done = subprocess.run(
        [sys.executable, script, "--root", root, "--seconds", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "11.50" in done.stdout.splitlines()[-1]
    assert "gpu-throttle-alert" in done.stdout.splitlines()[-1]


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    def show(line: str) -> None:
        raise BrokenPipeError

    assert len(collect_samples(FakeMonitor([sample_at(0.0)]), None, show)) == 1


def test_a_closed_pipe_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_device("orin-nano", tmp_path, monkeypatch)
    command = [sys.executable, "-u", "-m", "runtime.device_monitor", "--root", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_this_machine_without_a_device_is_told_what_to_install(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--root", str(here)]) == 2
    assert "found no device here that tells its power" in capsys.readouterr().err
