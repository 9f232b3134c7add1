"""Two processes on the CPU compute what one process computes that accumulates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from detectors.checkpoints import read_metadata
from detectors.processes import TORCHRUN_VARIABLES, OneProcess
from detectors.train import main
from tests.detectors.distributed_steps import take_steps
from tests.detectors.tiny_training import (
    differing,
    one_thread_fixture,  # noqa: F401 - pytest finds fixtures by their module
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

ROOT = Path(__file__).resolve().parents[2]


def run_in_two(*words: str) -> subprocess.CompletedProcess[str]:
    """Start a module in two processes with torchrun."""
    environment = {k: v for k, v in os.environ.items() if k not in TORCHRUN_VARIABLES}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*launcher, "--nproc-per-node", "2", "-m", *words],
        cwd=ROOT,
        env=environment | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_gradients_of_two_processes_equal_those_of_one_that_accumulates(shapes, tmp_path):
    result = run_in_two("tests.detectors.distributed_steps", str(shapes), str(tmp_path))
    assert result.returncode == 0, result.stderr
    first, second = (torch.load(tmp_path / f"{i}.pt", weights_only=True) for i in range(2))
    one = take_steps(shapes, OneProcess(torch.device("cpu")))
    assert first["gathered"] == second["gathered"] == [0, 1]
    assert first["losses"] == second["losses"]
    for name, loss in one["losses"].items():
        assert first["losses"][name] == pytest.approx(loss, rel=1e-5), name
    for name, gradient in one["gradients"].items():
        torch.testing.assert_close(first["gradients"][name], gradient, rtol=1e-4, atol=1e-6)
    assert not differing(first["weights"], second["weights"])
    for name, weight in one["weights"].items():
        # Adam divides by the gradient's size: where that is near zero, rounding decides the sign.
        assert (first["weights"][name] - weight).abs().mean() < 1e-4, name


def test_the_command_runs_in_two_processes_and_only_the_first_writes(shapes, tmp_path):
    size = "--size 64 64 --steps 3 --batch 4 --precision float32 --threads 1".split()
    often = "--log-every 1 --save-every 1 --evaluate-every 2 --workers 1".split()
    words = ["--data", str(shapes), "--validation", str(shapes), *size, *often]
    result = run_in_two("detectors.train", *words, "--out", str(tmp_path / "two"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("cornernet-nano.safetensors") == 1
    metadata = read_metadata(tmp_path / "two" / "cornernet-nano.safetensors")
    assert metadata["steps"] == "3"
    assert len((tmp_path / "two" / "log.jsonl").read_text().splitlines()) == 5
    # Another number of processes continues the run, if the micro-batches stay the same.
    stay = ["--out", str(tmp_path / "two"), "--resume"]
    assert main([*words, *stay]) == 2
    assert main([*words, *stay, "--accumulate", "2"]) == 0


def test_a_batch_that_two_processes_cannot_share_is_one_line(shapes, tmp_path):
    words = ["--data", str(shapes), "--out", str(tmp_path), "--batch", "3"]
    result = run_in_two("detectors.train", *words)
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert errors and "--batch is 3; expected a multiple of 2" in errors[0]
