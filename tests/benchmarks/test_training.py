"""Both candidates train the same network, and each goal looks at the right figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.training import PLAIN, TRAINER, Case, compare, main, plain_step, trainer_step
from detectors.shapes import ShapesSpec, write_dataset
from detectors.train_options import TrainOptions

SETTINGS = {"batch": 8}


@pytest.fixture(name="case")
def tiny_case(tmp_path: Path) -> Case:
    write_dataset(tmp_path / "set", ShapesSpec(images=2, seed=1))
    options = TrainOptions("cornernet-nano", (64, 64), batch=2, precision="float32")
    return Case(options, "cpu", workers=0, threads=1, data=tmp_path / "set")


def test_the_plain_loop_learns(case, monkeypatch):
    built = []
    build = torch.optim.Adam

    def spy(parameters, lr):
        built.append([*parameters])
        return build(built[0], lr=lr)

    monkeypatch.setattr(torch.optim, "Adam", spy)
    step = plain_step(case)
    before = [p.detach().clone() for p in built[0]]
    step()
    assert any(not torch.equal(a, b) for a, b in zip(before, built[0], strict=True))


def test_the_trainers_step_waits_for_images(case):
    step, batches = trainer_step(case)
    step()
    assert batches.waited_s > 0


def test_goals_are_the_ratio_of_speeds_and_the_waiting():
    samples = {PLAIN: [100.0] * 7, TRAINER: [125.0] * 7}
    findings = compare(samples, 0.05, {PLAIN: 10.4, TRAINER: 12.0}, SETTINGS)
    speed, waiting = findings.goals
    assert speed.value == 0.8 and not speed.is_met
    assert waiting.value == 0.05 and waiting.is_met
    assert findings.facts["plain loop, images/s"] == 80.0
    assert findings.facts["trainer, images/s"] == 64.0
    assert findings.facts["plain loop, peak MiB"] == 10


@pytest.mark.slow
def test_the_command_measures_and_writes(tmp_path):
    out = tmp_path / "r.json"
    words = "--size 64 64 --batch 2 --steps 1 --images 4 --rounds 7 --threads 1 --workers 0".split()
    assert main([*words, "--precision", "float32", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert set(body["samples_ms"]) == {PLAIN, TRAINER}
    assert body["facts"]["trainer, peak MiB"] > 50
    assert 0 < body["facts"]["waiting for images, share"] < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "yolo"], "unknown model"),
        (["--size", "60", "64"], "height 60"),
        (["--precision", "float16", "--device", "cpu"], "needs a GPU"),
        (["--batch", "0"], "--batch"),
    ],
)
def test_bad_options_are_refused(tmp_path, capsys, words, message):
    assert main([*words, "--out", str(tmp_path / "r.json")]) == 2
    assert message in capsys.readouterr().err
