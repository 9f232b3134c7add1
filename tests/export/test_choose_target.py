"""Which target "auto" stands for."""

from __future__ import annotations

import pytest

import export.choose_target as choose_target_module
from export.choose_target import choose_target, main
from runtime.backends import BackendSpec
from runtime.errors import BackendError, BuildError


def fake_machine(
    monkeypatch: pytest.MonkeyPatch, gpu: tuple[int, int] | None, installed: bool = True
) -> None:
    """Pretend that this machine has a GPU and a runtime for it, and TensorRT-RTX or not."""

    def load() -> None:
        if not installed:
            raise BackendError("TensorRT-RTX is not installed")

    backends = {"any": BackendSpec(lambda threads: None, ("tensorrt-rtx",), "")}
    monkeypatch.setattr(choose_target_module, "BACKENDS", backends)
    monkeypatch.setattr(choose_target_module, "gpu_compute_capability", lambda: gpu)
    monkeypatch.setattr(choose_target_module, "load_tensorrt_rtx", load)


def test_auto_takes_onnx_runtime_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, None)
    target, reason = choose_target("auto")
    assert target == "onnxruntime" and "no NVIDIA GPU" in reason


def test_auto_takes_rtx_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, (8, 9))
    assert choose_target("auto")[0] == "tensorrt-rtx"


@pytest.mark.parametrize(
    ("gpu", "installed", "why"),
    [((8, 9), False, "not installed"), ((9, 0), True, "capability 9.0"), ((8, 7), True, "8.7")],
)
def test_auto_says_why_it_passed_rtx_over(
    monkeypatch: pytest.MonkeyPatch, gpu: tuple[int, int], installed: bool, why: str
) -> None:
    fake_machine(monkeypatch, gpu, installed)
    target, reason = choose_target("auto")
    assert target == "onnxruntime" and why in reason


def test_a_named_target_is_taken_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, None)
    assert choose_target("tensorrt-rtx") == ("tensorrt-rtx", "asked for")
    assert choose_target("onnxruntime") == ("onnxruntime", "asked for")


def test_full_tensorrt_is_not_built_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose_target_module, "load_tensorrt", lambda: None)
    with pytest.raises(BuildError, match="not built by this version; expected onnxruntime"):
        choose_target("tensorrt")


def test_auto_takes_only_what_the_runtime_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, (8, 9))
    monkeypatch.setattr(choose_target_module, "BACKENDS", {})
    target, reason = choose_target("auto")
    assert target == "onnxruntime" and "no backend" in reason


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
