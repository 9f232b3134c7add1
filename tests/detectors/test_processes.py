"""One process alone, and how the environment of torchrun is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from detectors.processes import OneProcess, is_distributed, open_processes
from runtime.errors import UsageError

COMPLETE = {
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


def test_one_process_exchanges_nothing():
    alone = OneProcess(torch.device("cpu"))
    network = nn.Linear(2, 2)
    assert alone.is_main and (alone.index, alone.count) == (0, 1)
    assert alone.distribute(network) is network
    assert alone.mean([1.0, 3.0]) == [1.0, 3.0] and alone.gather([4, 5]) == [4, 5]
    with alone.without_exchange(network):
        alone.wait()
    alone.close()


def test_without_torchrun_a_process_is_alone():
    opened = open_processes("cpu", environment={})
    assert type(opened) is OneProcess and opened.device == torch.device("cpu")
    assert open_processes("auto", environment={}).count == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"MASTER_ADDR": "x", "MASTER_PORT": "1"}, False),
        ({"WORLD_SIZE": "1"}, False),
        (COMPLETE, True),
        (COMPLETE | {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}, False),
    ],
)
def test_torchruns_variables_decide(environment, expected):
    assert is_distributed(environment) is expected


@pytest.mark.parametrize("name", sorted(COMPLETE))
def test_a_missing_variable_is_named(name):
    environment = {key: value for key, value in COMPLETE.items() if key != name}
    with pytest.raises(UsageError, match=rf"lacks {name}; expected all of RANK.*torchrun"):
        is_distributed(environment)


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT"])
def test_a_variable_that_is_no_number_is_named(name):
    with pytest.raises(UsageError, match=f"{name} is 'two'"):
        is_distributed(COMPLETE | {name: "two"})


def test_a_rank_that_is_too_high_would_wait_for_ever():
    with pytest.raises(UsageError, match="RANK is 2 and WORLD_SIZE 2"):
        is_distributed(COMPLETE | {"RANK": "2"})


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="--device cuda found no GPU"):
        open_processes("cuda", environment={})


def test_a_run_of_one_process_does_not_load_what_many_need():
    """Accelerate and TensorBoard are slow to import; most runs need neither."""
    code = (
        "import sys, detectors.train as t; print({'accelerate', 'tensorboard'} & set(sys.modules))"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"
