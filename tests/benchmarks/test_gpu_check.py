"""The command that gathers every GPU figure: parts that run, cannot run, or fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu_check
from benchmarks.common import Goal, Sense
from benchmarks.gpu_check import Outcome, Part, read_counts, result_file, run_gpu_tests, run_parts
from benchmarks.report import Findings
from runtime.errors import BackendError, ExportError
from runtime.trt_module import Gpu

FINDINGS = Findings({"n": 1}, {"a": [1.0, 2.0]}, {}, (Goal("share", 0.9, Sense.AT_LEAST, 0.8),))


def measured(rounds: int) -> Findings:
    return FINDINGS


def lacking(rounds: int) -> Findings:
    raise BackendError("pycuda is not installed")


def without_onnx(rounds: int) -> Findings:
    raise ModuleNotFoundError("No module named 'onnx'", name="onnx")


def refused(rounds: int) -> Findings:
    raise ExportError("cannot export")


def broken(rounds: int) -> Findings:
    raise ZeroDivisionError("division by zero")


PARTS = (
    Part("one", measured),
    Part("two", lacking),
    Part("three", refused),
    Part("four", broken),
    Part("five", measured),
)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "find_gpu", lambda: Gpu("NVIDIA Test (A1)", "8.7"))


def test_no_part_takes_the_figures_of_the_others_with_it() -> None:
    outcome = Outcome()
    run_parts(PARTS, 7, outcome)
    assert list(outcome.parts) == ["one", "five"]
    assert outcome.not_run == {"two": "pycuda is not installed"}
    assert outcome.failed == {
        "three": "cannot export",
        "four": "ZeroDivisionError: division by zero",
    }
    assert outcome.status == 1


def test_a_module_that_is_missing_is_no_failure() -> None:
    outcome = Outcome()
    run_parts((Part("one", without_onnx),), 7, outcome)
    assert outcome.not_run == {"one": "no module onnx; install it to measure this"}
    assert outcome.status == 0


def test_what_a_part_could_not_measure_is_in_the_table() -> None:
    facts = {"nano: engine": "not run: no TensorRT", "bytes": 7}
    outcome = Outcome(parts={"networks": Findings({}, {}, facts=facts)})
    assert outcome.text() == "networks:\n  nano: engine: not run: no TensorRT"


@pytest.mark.usefixtures("with_gpu")
def test_without_pytest_the_parts_run_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu_check, "PARTS", PARTS[:1])
    monkeypatch.setattr(gpu_check.importlib.util, "find_spec", lambda name: None)
    out = tmp_path / "r.json"
    assert gpu_check.main(["--parts", "one", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert list(body["parts"]) == ["one"] and "pytest" in body["not_run"]["GPU tests"]


@pytest.mark.slow
@pytest.mark.parametrize("absent", ["cv2", "onnx"])
def test_an_environment_of_ones_own_may_lack_our_extras(absent: str) -> None:
    code = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "import benchmarks.gpu_check, pytest\n"
        "sys.exit(pytest.main(['tests/gpu', '--collect-only', '-q', '-p', 'no:cacheprovider']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=gpu_check.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_corner_pool_kernel" in done.stdout


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(), 0),
        (Outcome(tests={"passed": 3, "failed": 0, "errors": 0, "skipped": 2}), 0),
        (Outcome(not_run={"a": "no"}), 0),
        (Outcome(tests={"passed": 3, "failed": 1, "errors": 0, "skipped": 0}), 1),
        (Outcome(tests={"passed": 3, "failed": 0, "errors": 1, "skipped": 0}), 1),
        (Outcome(failed={"a": "no"}), 1),
    ],
)
def test_the_status_tells_failures_from_what_is_absent(outcome: Outcome, status: int) -> None:
    assert outcome.status == status


@pytest.mark.usefixtures("with_gpu")
def test_the_result_holds_every_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_check, "PARTS", PARTS[:2])
    monkeypatch.setattr(
        gpu_check,
        "run_gpu_tests",
        lambda folder: {"passed": 5, "failed": 0, "errors": 0, "skipped": 1},
    )
    out = tmp_path / "r.json"
    assert gpu_check.main(["--parts", "one", "two", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert body["machine"]["gpu"] == "NVIDIA Test (A1)"
    assert body["tests"]["passed"] == 5
    assert body["parts"]["one"]["samples_ms"]["a"]["values"] == [1.0, 2.0]
    assert body["parts"]["one"]["goals"][0]["met"] is True
    assert body["not_run"] == {"two": "pycuda is not installed"}
    text = capsys.readouterr().out
    assert "GPU tests: 5 passed, 0 failed, 0 errors, 1 skipped" in text
    assert "goal met    share: 0.900, at least 0.8" in text
    assert "two: not run: pycuda is not installed" in text


@pytest.mark.usefixtures("with_gpu")
def test_parts_are_chosen_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_check, "PARTS", (PARTS[0], PARTS[3]))
    out = tmp_path / "r.json"
    assert gpu_check.main(["--no-tests", "--parts", "one", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert (list(body["parts"]), body["tests"]) == (["one"], {})


def test_without_a_gpu_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_check, "find_gpu", lambda: None)
    assert gpu_check.main([]) == 2
    assert capsys.readouterr().err.startswith("error: no NVIDIA GPU with a driver was found")


def test_files_are_named_after_the_gpu() -> None:
    assert result_file("NVIDIA H200", "2026-01-02").name == "nvidia-h200-2026-01-02.json"
    assert result_file("Orin (nvgpu)", "2026-01-02").name == "orin-nvgpu-2026-01-02.json"


def test_counts_of_a_test_record(tmp_path: Path) -> None:
    record = tmp_path / "r.xml"
    record.write_text(
        '<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>'
    )
    assert read_counts(record) == {"passed": 3, "failed": 1, "errors": 2, "skipped": 3}


@pytest.mark.slow
def test_no_matching_test_is_no_failure(tmp_path: Path) -> None:
    assert run_gpu_tests(tmp_path, "gpu and not gpu")["errors"] == 0
