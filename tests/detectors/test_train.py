"""The command: its recipes, its options, its errors, and a process that is killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import detectors.train
from detectors.checkpoints import load_checkpoint, read_metadata
from detectors.registry import build_detector
from detectors.stop_request import TrainingStopped
from detectors.train import build_parser, main, options_from
from detectors.train_options import TrainOptions
from tests.detectors.tiny_training import (
    differing,
    one_thread_fixture,  # noqa: F401 - pytest finds fixtures by their module
)

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]


def arguments(shapes: Path, out: Path, *more: str) -> list[str]:
    options = "--size 64 64 --batch 2 --warmup 2 --workers 0 --threads 1 --precision float32"
    return ["--data", str(shapes), "--out", str(out), *options.split(), *more]


def parsed_options(*words: str) -> TrainOptions:
    return options_from(build_parser().parse_args(["--data", "d", "--out", "o", *words]))


def test_weights_name_their_model_classes_and_command(shapes, tmp_path, capsys):
    assert main(arguments(shapes, tmp_path, "--steps", "2")) == 0
    path = tmp_path / "cornernet-nano.safetensors"
    assert capsys.readouterr().out.splitlines() == [str(path)]
    metadata = read_metadata(path)
    assert metadata["model"] == "cornernet-nano" and metadata["steps"] == "2"
    assert json.loads(metadata["class_names"])[0] == "disc"
    assert metadata["command"].startswith("python -m detectors.train --data")
    report = load_checkpoint(build_detector("cornernet-nano", 6), path)
    assert not report.missing and not report.unexpected
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in log] == [2] and log[0]["total"] > 0


def test_a_run_can_stop_before_its_schedule_ends_and_go_on(shapes, tmp_path):
    words = arguments(shapes, tmp_path, "--steps", "3")
    assert main([*words, "--stop-after", "1"]) == 0
    assert read_metadata(tmp_path / "cornernet-nano.safetensors")["steps"] == "1"
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["step"] == 1 and state["run"]["steps"] == 3
    assert main([*words, "--resume"]) == 0
    assert read_metadata(tmp_path / "cornernet-nano.safetensors")["steps"] == "3"


def test_a_json_file_and_a_validation_set_are_read_wherever_they_lie(shapes, tmp_path, capsys):
    file = tmp_path / "elsewhere.json"
    file.write_text((shapes / "annotations.json").read_text())
    images = str(shapes / "images")
    words = arguments(file, tmp_path, "--images", images, "--steps", "1", "--evaluate-images", "2")
    assert main([*words, "--validation", str(file), "--validation-images", images]) == 0
    assert "best AP" in capsys.readouterr().out
    assert (tmp_path / "best.safetensors").is_file()


def test_images_are_looked_at_beforehand_if_asked_for(shapes, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    damaged = min((data / "images").iterdir())
    damaged.write_bytes(b"no image")
    words = arguments(data, tmp_path, "--steps", "1")
    assert main(words) == 0
    assert "that cannot be decoded" not in capsys.readouterr().err
    assert main([*words, "--check-images"]) == 0
    said = capsys.readouterr().err
    remaining = len(list((data / "images").iterdir())) - 1
    assert f"{remaining} images, " in said
    assert f"cannot be decoded, left out with their objects: 1 ({damaged.name})" in said


def test_a_set_of_damaged_images_is_refused(shapes, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    for image in (data / "images").iterdir():
        image.write_bytes(b"no image")
    assert main(arguments(data, tmp_path, "--steps", "1", "--check-images")) == 2
    assert "can be used" in capsys.readouterr().err.splitlines()[-1]


def test_the_shapes_recipe_is_that_of_the_shipped_weights():
    assert parsed_options() == TrainOptions(
        model="cornernet-nano",
        size_hw=(320, 320),
        steps=10_000,
        batch=8,
        rate=1e-3,
        schedule="cosine",
        warmup=300,
        precision="bfloat16",
        average_decay=0.9985,
        max_gradient_norm=20.0,
        augmentation="zoom",
        zoom_chance=0.25,
        embedding_weight=0.1,
        seed=1,
    )


def test_the_published_recipe_is_that_of_the_paper():
    options = parsed_options("--recipe", "published", "--model", "cornernet-hourglass104")
    assert (options.steps, options.batch, options.rate) == (500_000, 49, 2.5e-4)
    assert (options.schedule, options.decay_at, options.warmup) == ("step", 0.9, 0)
    assert (options.precision, options.average_decay, options.max_gradient_norm) == (
        "float32",
        0.0,
        0.0,
    )
    assert options.augmentation == "published" and options.size_hw == (511, 511)
    assert (options.embedding_weight, options.offset_weight) == (0.1, 1.0)


def test_every_value_of_a_recipe_can_be_replaced():
    changes = {
        "--steps": ("7", 7),
        "--batch": ("6", 6),
        "--accumulate": ("2", 2),
        "--rate": ("0.5", 0.5),
        "--schedule": ("cosine", "cosine"),
        "--decay-at": ("0.25", 0.25),
        "--warmup": ("9", 9),
        "--precision": ("bfloat16", "bfloat16"),
        "--average-decay": ("0.5", 0.5),
        "--max-gradient-norm": ("3", 3.0),
        "--augmentation": ("zoom", "zoom"),
        "--zoom-chance": ("0", 0.0),
        "--embedding-weight": ("0", 0.0),
        "--offset-weight": ("2", 2.0),
        "--seed": ("0", 0),
    }
    words = [word for option, (text, _) in changes.items() for word in (option, text)]
    options = parsed_options("--recipe", "published", "--vertical-flip", *words)
    for option, (_, value) in changes.items():
        assert getattr(options, option[2:].replace("-", "_")) == value, option
    assert options.vertical_flip


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "yolo"], "unknown model 'yolo'"),
        (["--recipe", "best"], "invalid choice: 'best'"),
        (["--steps", "0"], "got '0'; expected a whole number from 1"),
        (["--rate", "-1"], "--rate must be positive"),
        (["--rate", "nan"], "--rate must be positive"),
        (["--rate", "inf"], "--rate must be positive"),
        (["--seed", "-1"], "--seed"),
        (["--warmup", "-1"], "--warmup"),
        (["--zoom-chance", "2"], "--zoom-chance is 2"),
        (["--decay-at", "nan"], "--decay-at is nan"),
        (["--average-decay", "1"], "--average-decay is 1"),
        (["--embedding-weight", "-1"], "--embedding-weight is -1"),
        (["--embedding-weight", "nan"], "--embedding-weight is nan"),
        (["--offset-weight", "-1"], "--offset-weight is -1"),
        (["--max-gradient-norm", "-1"], "--max-gradient-norm is -1"),
        (["--size", "60", "64"], "height 60"),
        (["--batch", "99"], "lower --batch"),
        (["--batch", "3", "--accumulate", "2"], "expected a multiple of 2"),
        (["--precision", "float16", "--device", "cpu"], "--precision float16 needs a GPU"),
        (["--resume"], "to resume from"),
        (["--init", "none.safetensors"], "none.safetensors"),
        (["--validation", "none"], "expected COCO annotations"),
        (["--validation-images", "none"], "without --validation"),
    ],
)
def test_bad_options_are_one_line_and_status_2(shapes, tmp_path, capsys, more, message):
    assert main(arguments(shapes, tmp_path, *more)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not (tmp_path / "cornernet-nano.safetensors").exists()


def changed_set(shapes: Path, folder: Path, **changes: object) -> Path:
    """Copy a set, with other annotations."""
    shutil.copytree(shapes / "images", folder / "images")
    body = json.loads((shapes / "annotations.json").read_text())
    (folder / "annotations.json").write_text(json.dumps(body | changes))
    return folder


def test_a_set_without_objects_is_refused(shapes, tmp_path, capsys):
    data = changed_set(shapes, tmp_path / "set", annotations=[])
    assert main(arguments(data, tmp_path / "out", "--steps", "1")) == 2
    assert "has no object to learn from" in capsys.readouterr().err.splitlines()[-1]


def test_empty_images_and_crowds_are_told_by_the_first_process(
    shapes, tmp_path, capsys, monkeypatch
):
    annotations = json.loads((shapes / "annotations.json").read_text())["annotations"]
    annotations[0]["iscrowd"] = 1
    data = changed_set(shapes, tmp_path / "set", annotations=annotations)
    words = arguments(data, tmp_path / "out", "--steps", "1")
    assert main(words) == 0
    assert "crowds, not trained on and ignored in evaluation: 1" in capsys.readouterr().err
    for name, value in {"RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert main(words) == 2  # the rest of torchrun's variables is missing
    assert "crowds" not in capsys.readouterr().err


def test_a_count_of_processes_that_is_none_takes_all_cores(monkeypatch):
    all_cores = detectors.train._cores_of_a_process()
    for value in ("0", "two"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", value)
        assert detectors.train._cores_of_a_process() == all_cores


def test_missing_data_is_one_line(tmp_path, capsys):
    assert main(arguments(tmp_path / "none", tmp_path)) == 2
    assert "expected COCO annotations" in capsys.readouterr().err


def test_an_incomplete_environment_of_torchrun_is_one_line(shapes, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(arguments(shapes, tmp_path, "--steps", "1")) == 2
    assert "lacks LOCAL_RANK, MASTER_ADDR, MASTER_PORT" in capsys.readouterr().err


def test_resuming_with_other_options_or_a_damaged_file_is_refused(shapes, tmp_path, capsys):
    assert main(arguments(shapes, tmp_path, "--steps", "1")) == 0
    assert main(arguments(shapes, tmp_path, "--steps", "3", "--resume")) == 2
    assert "other options (steps was 1, is 3)" in capsys.readouterr().err
    torch.save({"weights": 1}, tmp_path / "last.pt")
    assert main(arguments(shapes, tmp_path, "--steps", "1", "--resume")) == 2
    assert "no checkpoint of this command" in capsys.readouterr().err
    (tmp_path / "last.pt").write_bytes(b"damaged")
    assert main(arguments(shapes, tmp_path, "--steps", "1", "--resume")) == 2
    assert "cannot read" in capsys.readouterr().err.splitlines()[-1]


def test_a_stopped_run_is_one_line_and_status_130(shapes, tmp_path, capsys, monkeypatch):
    def stop(*_: object) -> None:
        raise TrainingStopped("stopped after step 3; x is complete; continue with --resume")

    monkeypatch.setattr(detectors.train, "run_training", stop)
    assert main(arguments(shapes, tmp_path)) == 130
    assert capsys.readouterr().err.splitlines() == [
        "stopped after step 3; x is complete; continue with --resume"
    ]


def test_the_parser_explains_every_option():
    text = build_parser().format_help()
    for option in ("--model", "--data", "--resume", "--init", "--vertical-flip", "--recipe"):
        assert option in text


def wait_for_step(out: Path, step: int) -> None:
    """Return once a run has logged a step."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        log = out / "log.jsonl"
        if log.is_file() and f'"step": {step},' in log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"no step {step} within two minutes")


@pytest.mark.slow
def test_a_killed_run_continues_from_its_last_checkpoint(shapes, tmp_path):
    steady = ("--save-every", "1", "--log-every", "1")
    words = arguments(shapes, tmp_path / "killed", "--steps", "500", *steady)
    command = [sys.executable, "-m", "detectors.train", *words]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        wait_for_step(tmp_path / "killed", 3)
        process.send_signal(signal.SIGKILL)
    killed_at = torch.load(tmp_path / "killed" / "last.pt", weights_only=True)["step"]
    assert killed_at >= 2  # step 3 was logged before it was saved
    end = ("--stop-after", str(killed_at + 2))
    assert main([*words, *end, "--resume"]) == 0
    assert main(arguments(shapes, tmp_path / "whole", "--steps", "500", *steady, *end)) == 0
    first, second = (
        torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("killed", "whole")
    )
    assert not differing(first["model"], second["model"])
    assert not differing(first["average"], second["average"])
    steps = [
        json.loads(s)["step"] for s in (tmp_path / "killed/log.jsonl").read_text().split("\n")[:-1]
    ]
    assert steps == list(range(1, killed_at + 3))
