"""The checks of what runs a network, on planted machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import plugins.library
from runtime.doctor_inference import check_artifacts, check_backends, check_plugins
from runtime.findings import Ability, Finding, Verdict
from runtime.machine import Answer
from tests.builders import write_tiny_artifact
from tests.fakes.machine import FakeMachine

GPU = {"find_gpu": "Orin, compute capability 8.7"}
PYCUDA = {"pycuda": "2025.1.2"}
TENSORRT = {"'tensorrt'": "10.3.0"}
RTX = {"'tensorrt-rtx'": "1.7.1"}
ORT = {"onnxruntime": "1.23.0"}


def find(machine: FakeMachine, start: str) -> Finding:
    (finding,) = [found for found in check_backends(machine) if found.text.startswith(start)]
    return finding


def test_a_device_that_has_everything(tmp_path: Path) -> None:
    machine = FakeMachine(
        tmp_path, pythons={**GPU, **PYCUDA, **TENSORRT, **ORT}, modules=["tensorrt"]
    )
    machine.add("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX  540.4.0  Release\n")
    findings = check_backends(machine)
    assert [finding.text for finding in findings] == [
        "GPU Orin, compute capability 8.7, driver 540.4.0",
        "pycuda 2025.1.2",
        "TensorRT 10.3.0",
        "TensorRT-RTX is not installed",
        "ONNX Runtime 1.23.0",
    ]
    assert [finding.verdict is Verdict.OK for finding in findings] == [True] * 3 + [False, True]
    assert findings[2].ability is findings[4].ability is Ability.NETWORK


def test_a_machine_that_has_nothing(tmp_path: Path) -> None:
    findings = check_backends(FakeMachine(tmp_path))
    assert not any(finding.ability for finding in findings)
    assert findings[0].text.startswith("no NVIDIA GPU")
    assert findings[0].verdict is Verdict.NOTE
    ort = findings[-1]
    assert (ort.verdict, ort.remedy) == (Verdict.MISSING, "pip install onnxruntime")
    assert not any("pycuda" in finding.text for finding in findings)


def test_with_a_gpu_what_engines_need_is_missing(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path, pythons={**GPU, **ORT})
    pycuda, tensorrt = find(machine, "pycuda"), find(machine, "TensorRT is")
    assert pycuda.verdict is tensorrt.verdict is Verdict.MISSING
    assert pycuda.remedy == "pip install -e '.[trt]'"
    assert "python3-libnvinfer" in tensorrt.remedy


def test_one_tensorrt_is_enough(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path, pythons={**GPU, **PYCUDA, **RTX}, modules=["tensorrt_rtx"])
    assert find(machine, "TensorRT is").verdict is Verdict.NOTE
    assert find(machine, "TensorRT-RTX 1.7.1").ability is Ability.NETWORK


def test_without_a_gpu_nobody_misses_tensorrt(tmp_path: Path) -> None:
    assert find(FakeMachine(tmp_path), "TensorRT is").verdict is Verdict.NOTE


@pytest.mark.parametrize("pythons", [{**RTX}, {**RTX, **GPU}, {**RTX, **PYCUDA}])
def test_engines_can_be_built_where_they_cannot_run(
    tmp_path: Path, pythons: dict[str, str]
) -> None:
    machine = FakeMachine(tmp_path, pythons=pythons, modules=["tensorrt_rtx_bindings"])
    finding = find(machine, "TensorRT-RTX 1.7.1")
    assert "to build with" in finding.text
    assert finding.ability is None


def test_a_tensorrt_that_does_not_load_says_why(tmp_path: Path) -> None:
    broken = Answer(False, "runtime.errors.BackendError: libnvinfer.so.10 is missing")
    machine = FakeMachine(tmp_path, pythons={**GPU, "'tensorrt'": broken}, modules=["tensorrt"])
    finding = find(machine, "TensorRT: ")
    assert finding.verdict is Verdict.MISSING
    assert finding.text == "TensorRT: libnvinfer.so.10 is missing"


def test_without_onnxruntime_the_gpu_is_enough(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path, pythons={**GPU, **PYCUDA, **TENSORRT}, modules=["tensorrt"])
    assert find(machine, "ONNX Runtime").verdict is Verdict.NOTE


def test_a_card_without_a_driver_is_said(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    machine.add("/sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086\n")
    assert check_backends(machine)[0].verdict is Verdict.NOTE
    machine.add("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    finding = check_backends(machine)[0]
    assert finding.verdict is Verdict.MISSING
    assert "without a driver that works" in finding.text


def test_a_container_without_its_gpu_is_said(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path).add("/.dockerenv")
    machine.add("/proc/driver/nvidia/version", "NVRM version: 550.54.15")
    finding = check_backends(machine)[0]
    assert finding.remedy == "start the container with --gpus all"


def test_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(tmp_path)
    monkeypatch.setattr(plugins.library, "find_library", lambda: None)
    (finding,) = check_plugins(machine)
    assert (finding.verdict, finding.remedy) == (Verdict.NOTE, "make plugins")
    monkeypatch.setattr(plugins.library, "find_library", lambda: Path("/x/lib.so"))
    assert check_plugins(machine)[0].text == "plugin library /x/lib.so"


def test_without_a_model_one_is_missing(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    assert check_artifacts(machine)[0].verdict is Verdict.MISSING
    machine.add("/checkout/build/other.onnx").add("/checkout/build/other.onnx.json", "{}")
    machine.add("/checkout/build/lonely.json", "{")
    (finding,) = check_artifacts(machine)
    assert (finding.verdict, finding.remedy) == (Verdict.MISSING, "make engine")


def test_models_that_were_only_exported_are_said(tmp_path: Path) -> None:
    write_tiny_artifact(tmp_path / "work/build/tiny.onnx")
    (finding,) = check_artifacts(FakeMachine(tmp_path))
    assert (finding.verdict, finding.remedy) == (Verdict.NOTE, "make engine")
    assert "nothing was built from the 1 models" in finding.text


def test_the_newest_built_model_is_named(tmp_path: Path) -> None:
    build = tmp_path / "work/build"
    for age, name in enumerate(("new", "old")):
        path = write_tiny_artifact(build / f"{name}.onnx", target="onnxruntime")
        os.utime(path, (1000 - age, 1000 - age))
    write_tiny_artifact(build / "exported.onnx")
    (finding,) = check_artifacts(FakeMachine(tmp_path))
    expected = "2 built models in build/, newest new.onnx (fp32, for onnxruntime)"
    assert (finding.verdict, finding.text) == (Verdict.OK, expected)


def test_a_driver_that_ends_the_process_that_asks_is_no_gpu(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path, pythons={"find_gpu": Answer(False, "ended with status -11")})
    assert check_backends(machine)[0].text.startswith("no NVIDIA GPU")
