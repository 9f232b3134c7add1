"""Training with fake quantization: ``detectors.train --qat``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from detectors.checkpoints import load_checkpoint, read_metadata, save_checkpoint
from detectors.dataset import read_coco
from detectors.fake_quantize_layers import FakeQuantizedConvolution
from detectors.int8_plan import ConvolutionScales, read_plan
from detectors.registry import build_detector
from detectors.train import build_parser, main, options_from
from detectors.train_options import QAT, TrainOptions
from detectors.trainer import Trainer
from detectors.training_run import run_training
from runtime.errors import CalibrationError
from tests.detectors.int8_plans import first_nano, nano_plan, write_nano_plan
from tests.detectors.test_training_run import assert_same_end
from tests.detectors.tiny_training import (
    differing,
    one_thread_fixture,  # noqa: F401 - pytest finds fixtures by their module
    tiny_batches,
    tiny_options,
    tiny_session,
)

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES = ("disc", "ring", "box", "triangle", "star", "cross")


@pytest.fixture(name="weights", scope="module")
def first_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the weights that ``nano_plan`` has grids for."""
    path = tmp_path_factory.mktemp("weights") / "first.safetensors"
    save_checkpoint(first_nano(), path, {})
    return path


def command(shapes: Path, out: Path, *more: object) -> list[str]:
    options = "--size 64 64 --batch 2 --workers 0 --threads 1 --steps 2"
    return [str(w) for w in ("--data", shapes, "--out", out, *options.split(), *more)]


def test_a_plan_is_trained_with_and_averaged(shapes, weights):
    trainer = Trainer(tiny_options(plan=nano_plan(), rate=1e-4), 6)
    trainer.begin_with(weights, CLASSES)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.train_step(tiny_batches(shapes, trainer.options))
    after = trainer.network.state_dict()
    changed = differing(before, after)
    assert "stem.1.conv.weight" in changed and "stem.1.bn.weight" in changed
    assert not [name for name in changed if "running" in name or "tracked" in name]
    for network in (trainer.network, trainer.average.network):
        assert isinstance(network.stem[1].conv, FakeQuantizedConvolution)


def test_weights_that_do_not_fit_the_plan_are_refused(weights):
    plan = nano_plan()
    finer = {
        name: ConvolutionScales(scales.input, tuple(scale / 100 for scale in scales.weights))
        for name, scales in plan.convolutions.items()
    }
    plan = dataclasses.replace(plan, convolutions=finer)
    trainer = Trainer(tiny_options(plan=plan), 6)
    with pytest.raises(CalibrationError, match=r"weights of stem\.1\.conv lose"):
        trainer.begin_with(weights, CLASSES)


def test_the_command_fine_tunes_weights_for_a_plan(shapes, weights, tmp_path, capsys):
    plan = write_nano_plan(tmp_path / "plan.json")
    out = tmp_path / "run"
    words = command(shapes, out, "--qat", plan, "--init", weights, "--validation", shapes)
    assert main(words) == 0
    assert "best AP" in capsys.readouterr().out
    tuned = out / "cornernet-nano.safetensors"
    assert read_metadata(tuned)["int8_plan"] == read_plan(plan).digest()
    report = load_checkpoint(build_detector("cornernet-nano", 6), tuned)
    assert report.is_complete


def test_a_plan_brings_values_of_its_own_for_what_is_not_given(tmp_path):
    path = write_nano_plan(tmp_path / "plan.json")

    def options(*more: str) -> TrainOptions:
        words = ["--data", "d", "--out", "o", "--init", "w", "--qat", str(path), *more]
        return options_from(build_parser().parse_args(words))

    assert QAT.keys() <= {field.name for field in dataclasses.fields(TrainOptions)}
    for name, value in QAT.items():
        assert getattr(options(), name) == value
    assert options().plan == nano_plan() and options("--rate", "1e-6").rate == 1e-6
    assert options("--recipe", "published").batch == 49
    assert options("--recipe", "published").rate == QAT["rate"]


def test_without_a_plan_nothing_is_rounded():
    words = ["--data", "d", "--out", "o"]
    assert options_from(build_parser().parse_args(words)).plan is None
    network = Trainer(tiny_options(), 6).network
    assert isinstance(network.stem[1].conv, torch.nn.Conv2d)


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        ({}, [], "--qat without --init"),
        ({}, ["--precision", "bfloat16"], "--precision is bfloat16 with --qat; expected float32"),
        ({"model": "cornernet-squeeze"}, [], "a plan of cornernet-squeeze for cornernet-nano"),
        ({"modules": {"pool9": 1.0}}, [], "that this network lacks, 'pool9' first"),
        ({"format": "x"}, [], "format 'x'"),
        (None, [], "no plan at"),
    ],
)
def test_what_does_not_fit_is_one_line(shapes, weights, tmp_path, capsys, changes, more, message):
    plan = tmp_path / "plan.json"
    if changes is not None:
        format_ = changes.pop("format", None)
        write_nano_plan(plan, **changes)
        if format_:
            plan.write_text(plan.read_text().replace("cornerrt-int8-plan-1", format_))
    init = [] if message == "--qat without --init" else ["--init", weights]
    assert main(command(shapes, tmp_path / "run", "--qat", plan, *init, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "run" / "cornernet-nano.safetensors").exists()


@pytest.mark.slow
def test_a_resumed_run_ends_like_an_uninterrupted_one(shapes, weights, tmp_path):
    coco, options = read_coco(shapes), tiny_options(plan=nano_plan(), steps=4)
    run_training(options, tiny_session(tmp_path / "whole", init=weights), coco)
    first = tiny_session(tmp_path / "parts", init=weights, stop_after=2)
    run_training(options, first, coco)
    run_training(options, tiny_session(tmp_path / "parts", resume=True), coco)
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_a_run_with_another_plan_is_not_resumed(shapes, weights, tmp_path, capsys):
    plan, other = tmp_path / "plan.json", tmp_path / "other.json"
    write_nano_plan(plan)
    write_nano_plan(other, modules={"tl_module.pool1": 0.06})
    words = command(shapes, tmp_path / "run", "--warmup", 0)
    assert main([*words, "--qat", str(plan), "--init", str(weights), "--stop-after", "1"]) == 0
    assert main([*words, "--qat", str(other), "--resume"]) == 2
    digests = [read_plan(path).digest() for path in (plan, other)]
    message = f"int8_plan was {digests[0]!r}, is {digests[1]!r}"
    assert message in capsys.readouterr().err
    assert main([*words, "--qat", str(plan), "--resume"]) == 0
