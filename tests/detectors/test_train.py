"""Training: it learns, it resumes exactly, and it writes weights that load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from detectors.checkpoints import load_checkpoint, read_metadata
from detectors.dataset import read_coco
from detectors.registry import build_detector
from detectors.train import build_parser, load_batches, main
from detectors.trainer import Trainer
from tests.detectors.tiny_training import TINY_OPTIONS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums are rounded in another order with other threads; the command sets them for good."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def arguments(shapes: Path, out: Path, *more: str) -> list[str]:
    options = "--size 64 64 --batch 2 --warmup 2 --workers 0 --threads 1 --save-every 2 --float32"
    return ["--data", str(shapes), "--out", str(out), *options.split(), *more]


def test_a_resumed_run_ends_like_an_uninterrupted_one(shapes, tmp_path):
    trainer = Trainer(TINY_OPTIONS, 6)
    batches = load_batches(trainer, read_coco(shapes), workers=0)
    for _ in range(2):
        trainer.train_step(next(batches))
    (tmp_path / "parts").mkdir()
    trainer.save(tmp_path / "parts" / "last.pt")
    same = ("--steps", "4", "--vertical-flip", "--seed", "3")
    assert main(arguments(shapes, tmp_path / "parts", *same, "--resume")) == 0
    assert main(arguments(shapes, tmp_path / "whole", *same)) == 0
    states = [
        torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("parts", "whole")
    ]
    for key, value in states[1]["model"].items():
        assert torch.equal(states[0]["model"][key], value), key


def test_weights_name_their_model_classes_and_command(shapes, tmp_path):
    assert main(arguments(shapes, tmp_path, "--steps", "2")) == 0
    path = tmp_path / "cornernet-nano.safetensors"
    metadata = read_metadata(path)
    assert metadata["model"] == "cornernet-nano" and metadata["steps"] == "2"
    assert json.loads(metadata["class_names"])[0] == "disc"
    assert metadata["command"].startswith("python -m detectors.train --data")
    report = load_checkpoint(build_detector("cornernet-nano", 6), path)
    assert not report.missing and not report.unexpected
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in log] == [2] and log[0]["total"] > 0


def test_a_run_can_stop_before_its_schedule_ends(shapes, tmp_path):
    assert main(arguments(shapes, tmp_path, "--steps", "9", "--stop-after", "1")) == 0
    assert read_metadata(tmp_path / "cornernet-nano.safetensors")["steps"] == "1"
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["step"] == 1 and state["options"]["steps"] == 9


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "yolo"], "unknown model 'yolo'"),
        (["--steps", "0"], "must be at least 1"),
        (["--rate", "-1"], "--rate must be positive"),
        (["--rate", "nan"], "--rate must be positive"),
        (["--seed", "-1"], "--seed"),
        (["--zoom-chance", "2"], "--zoom-chance is 2"),
        (["--embedding-weight", "-1"], "--embedding-weight is -1"),
        (["--embedding-weight", "nan"], "--embedding-weight is nan"),
        (["--size", "60", "64"], "height 60"),
        (["--batch", "99"], "lower --batch"),
        (["--resume"], "to resume from"),
        (["--init", "none.safetensors"], "none.safetensors"),
    ],
)
def test_bad_options_are_one_line_and_status_2(shapes, tmp_path, capsys, more, message):
    assert main(arguments(shapes, tmp_path, *more)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error


def test_missing_data_is_one_line(tmp_path, capsys):
    assert main(arguments(tmp_path / "none", tmp_path)) == 2
    assert "expected COCO annotations" in capsys.readouterr().err


def test_resuming_with_other_options_or_a_damaged_file_is_refused(shapes, tmp_path, capsys):
    assert main(arguments(shapes, tmp_path, "--steps", "2")) == 0
    assert main(arguments(shapes, tmp_path, "--steps", "3", "--resume")) == 2
    assert "other options (steps)" in capsys.readouterr().err
    torch.save({"weights": 1}, tmp_path / "last.pt")
    assert main(arguments(shapes, tmp_path, "--steps", "2", "--resume")) == 2
    assert "no checkpoint of this command" in capsys.readouterr().err
    (tmp_path / "last.pt").write_bytes(b"damaged")
    assert main(arguments(shapes, tmp_path, "--steps", "2", "--resume")) == 2
    assert "cannot read" in capsys.readouterr().err.splitlines()[-1]


def test_the_parser_explains_every_option():
    text = build_parser().format_help()
    for option in ("--model", "--data", "--resume", "--init", "--vertical-flip"):
        assert option in text
