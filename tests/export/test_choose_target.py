"""Which target "auto" stands for."""

from __future__ import annotations

import pytest

import export.choose_target as choose_target_module
from export.choose_target import choose_target, main
from runtime.errors import BackendError
from runtime.trt_module import Gpu


def fake_machine(monkeypatch: pytest.MonkeyPatch, capability: str | None, *installed: str) -> None:
    """Pretend that this machine has a GPU and these packages."""

    def load(product: str) -> None:
        if product not in installed:
            raise BackendError(f"{product} is not installed")

    gpu = None if capability is None else Gpu("any", capability)
    monkeypatch.setattr(choose_target_module, "find_gpu", lambda: gpu)
    monkeypatch.setattr(choose_target_module, "load_tensorrt", lambda: load("tensorrt"))
    monkeypatch.setattr(choose_target_module, "load_tensorrt_rtx", lambda: load("tensorrt-rtx"))


def test_auto_takes_onnx_runtime_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, None, "tensorrt", "tensorrt-rtx")
    target, reason = choose_target("auto")
    assert target == "onnxruntime" and reason.count("no NVIDIA GPU") == 2


@pytest.mark.parametrize(
    ("capability", "installed", "target"),
    [
        ("8.9", ("tensorrt-rtx",), "tensorrt-rtx"),
        ("8.9", ("tensorrt", "tensorrt-rtx"), "tensorrt"),
        ("8.7", ("tensorrt",), "tensorrt"),
        ("9.0", ("tensorrt", "tensorrt-rtx"), "tensorrt"),
    ],
)
def test_auto_takes_the_first_that_can_run_here(
    monkeypatch: pytest.MonkeyPatch, capability: str, installed: tuple[str, ...], target: str
) -> None:
    fake_machine(monkeypatch, capability, *installed)
    assert choose_target("auto") == (
        target,
        "it is installed and this machine's GPU can run its engines",
    )


@pytest.mark.parametrize(
    ("capability", "installed", "why"),
    [
        ("8.9", (), "tensorrt-rtx is not installed"),
        ("9.0", ("tensorrt-rtx",), "compute capability 9.0"),
        ("8.7", ("tensorrt-rtx",), "8.7"),
    ],
)
def test_auto_says_why_it_passed_others_over(
    monkeypatch: pytest.MonkeyPatch, capability: str, installed: tuple[str, ...], why: str
) -> None:
    fake_machine(monkeypatch, capability, *installed)
    target, reason = choose_target("auto")
    assert target == "onnxruntime" and why in reason and "tensorrt is not installed" in reason


def test_a_named_target_is_taken_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, None)
    assert choose_target("tensorrt-rtx") == ("tensorrt-rtx", "asked for")
    assert choose_target("tensorrt") == ("tensorrt", "asked for")
    assert choose_target("onnxruntime") == ("onnxruntime", "asked for")


def test_the_command_prints_the_target_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_machine(monkeypatch, None)
    assert main(["auto"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "onnxruntime\n" and "no NVIDIA GPU" in printed.err


def test_an_unknown_target_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openvino"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: argument target: invalid choice: 'openvino'")
    assert error.count("\n") == 1
