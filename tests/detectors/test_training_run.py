"""A run: it resumes exactly, keeps the best weights, and stops cleanly."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

import detectors.training_evaluation
import detectors.training_state
from detectors.checkpoint_layouts import is_counter
from detectors.checkpoints import load_checkpoint, read_metadata
from detectors.dataset import CocoSet, read_coco
from detectors.evaluate import AveragePrecision
from detectors.registry import build_detector
from detectors.stop_request import TrainingStopped
from detectors.train_options import RECIPES, TrainOptions
from detectors.trainer import Trainer
from detectors.training_run import run_training
from runtime.errors import CheckpointError, DatasetError, OutputError, TrainingError, UsageError
from tests.detectors.tiny_training import (
    TINY_OPTIONS,
    differing,
    one_thread_fixture,  # noqa: F401 - pytest finds fixtures by their module
    tiny_options,
    tiny_session,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(name="coco", scope="module")
def coco_set(shapes: Path) -> CocoSet:
    return read_coco(shapes)


def records(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def read_state(out: Path) -> dict:
    return torch.load(out / "last.pt", weights_only=True)


def assert_same_end(first: Path, second: Path) -> None:
    """Compare everything that two runs left, tensor by tensor."""
    states = [read_state(folder) for folder in (first, second)]
    for part in ("model", "average"):
        assert not differing(states[0][part], states[1][part])
    moments = [state["optimizer"]["state"] for state in states]
    assert moments[0].keys() == moments[1].keys() and moments[0]
    for index, moment in moments[0].items():
        assert not differing(moment, moments[1][index])
    assert torch.equal(states[0]["random"]["cpu"], states[1]["random"]["cpu"])
    assert states[0]["step"] == states[1]["step"]
    assert states[0]["best"] == states[1]["best"]


class WithDropout(nn.Module):
    """Nano, and a random choice in every step: a resumed run must draw the same numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.nano = build_detector("cornernet-nano", 6)
        self.dropout = nn.Dropout(0.2)

    def forward(self, images):
        return self.nano(self.dropout(images))


@pytest.mark.parametrize(
    ("changes", "workers"),
    [
        ({}, 0),
        ({"batch": 4, "accumulate": 2, "precision": "bfloat16"}, 0),
        pytest.param({"batch": 4, "accumulate": 2}, 2, marks=pytest.mark.slow),
    ],
    ids=["plain", "accumulating in bfloat16", "with workers"],
)
def test_a_resumed_run_ends_like_an_uninterrupted_one(coco, tmp_path, changes, workers):
    options = tiny_options(steps=6, **changes)
    whole, parts = (tiny_session(tmp_path / name, workers=workers) for name in ("whole", "parts"))
    run_training(options, whole, coco, network=WithDropout())
    first = tiny_session(tmp_path / "parts", workers=workers, stop_after=3)
    run_training(options, first, coco, network=WithDropout())
    torch.manual_seed(77)  # other numbers than those after the first part
    resumed = tiny_session(parts.out, workers=workers, resume=True)
    run_training(options, resumed, coco, network=WithDropout())
    assert_same_end(whole.out, parts.out)
    assert [r["step"] for r in records(parts.out)] == [1, 2, 3, 4, 5, 6]
    for mine, theirs in zip(records(whole.out), records(parts.out), strict=True):
        assert mine["total"] == theirs["total"] and mine["rate"] == theirs["rate"]


def fake_evaluations(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let evaluations give these APs one after another."""
    left = iter(values)
    monkeypatch.setattr(
        detectors.training_evaluation,
        "evaluate",
        lambda coco, predict, limit: AveragePrecision(next(left), 0.5, 0.4, 0.1, 0.2, 0.3, 6),
    )


def test_the_best_averaged_weights_are_kept(coco, tmp_path, monkeypatch):
    fake_evaluations(monkeypatch, [0.2, 0.6, 0.6, 0.4])
    session = tiny_session(tmp_path, evaluate_every=1)
    kept = {}
    save = detectors.training_state.save_checkpoint

    def spy(network, path, metadata):
        kept[metadata["steps"], path.name] = {k: v.clone() for k, v in network.state_dict().items()}
        save(network, path, metadata)

    monkeypatch.setattr(detectors.training_state, "save_checkpoint", spy)
    result = run_training(TINY_OPTIONS, session, coco, coco)
    assert result.best_ap == 0.6 and result.best_weights == tmp_path / "best.safetensors"
    assert set(kept) == {
        ("1", "best.safetensors"),
        ("2", "best.safetensors"),
        ("4", "cornernet-nano.safetensors"),
    }
    metadata = read_metadata(result.best_weights)
    assert metadata["ap"] == "0.60000" and metadata["steps"] == "2"
    best = build_detector("cornernet-nano", 6)
    load_checkpoint(best, result.best_weights)
    names = differing(kept["2", "best.safetensors"], best.state_dict())
    assert all(is_counter(name) for name in names)
    evaluations = [r for r in records(tmp_path) if "ap" in r]
    assert [(r["step"], r["ap"]) for r in evaluations] == [(1, 0.2), (2, 0.6), (3, 0.6), (4, 0.4)]
    assert evaluations[0]["ap_large"] == 0.3


def test_a_resumed_run_remembers_its_best(coco, tmp_path, monkeypatch):
    fake_evaluations(monkeypatch, [0.7, 0.3])
    first = tiny_session(tmp_path, evaluate_every=2, stop_after=2)
    run_training(TINY_OPTIONS, first, coco, coco)
    again = tiny_session(tmp_path, evaluate_every=2, resume=True)
    result = run_training(TINY_OPTIONS, again, coco, coco)
    assert result.best_ap == 0.7
    assert read_metadata(tmp_path / "best.safetensors")["steps"] == "2"


def test_a_killed_run_does_not_take_a_lesser_evaluation_for_its_best(coco, tmp_path, monkeypatch):
    fake_evaluations(monkeypatch, [0.7, 0.3])
    session = tiny_session(tmp_path, evaluate_every=1, save_every=100)
    take = Trainer.train_step

    def train_step(trainer: Trainer, batches) -> dict[str, float]:
        if trainer.step == 1:
            raise KeyboardInterrupt  # as if killed: nothing is saved any more
        return take(trainer, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", train_step)
        with pytest.raises(KeyboardInterrupt):
            run_training(TINY_OPTIONS, session, coco, coco)
    again = tiny_session(tmp_path, evaluate_every=2, stop_after=2, resume=True)
    assert run_training(TINY_OPTIONS, again, coco, coco).best_ap == 0.7
    assert read_metadata(tmp_path / "best.safetensors")["ap"] == "0.70000"


def test_a_best_that_was_removed_is_not_remembered(coco, tmp_path, monkeypatch):
    fake_evaluations(monkeypatch, [0.7, 0.3])
    run_training(TINY_OPTIONS, tiny_session(tmp_path, stop_after=1), coco, coco)
    (tmp_path / "best.safetensors").unlink()
    result = run_training(TINY_OPTIONS, tiny_session(tmp_path, resume=True), coco, coco)
    assert result.best_ap == 0.3
    assert read_metadata(tmp_path / "best.safetensors")["steps"] == "4"


def test_a_run_that_is_refused_keeps_an_earlier_runs_best(coco, tmp_path):
    (tmp_path / "best.safetensors").write_bytes(b"of an earlier run")
    with pytest.raises(DatasetError, match="lower --batch"):
        run_training(tiny_options(batch=99), tiny_session(tmp_path), coco)
    assert (tmp_path / "best.safetensors").read_bytes() == b"of an earlier run"


def test_evaluating_and_logging_change_nothing(coco, tmp_path):
    plain = tiny_session(tmp_path / "plain", log_every=4)
    run_training(TINY_OPTIONS, plain, coco)
    watched = tiny_session(
        tmp_path / "watched", evaluate_every=2, evaluate_images=2, tensorboard=True
    )
    result = run_training(TINY_OPTIONS, watched, coco, coco)
    states = [read_state(session.out) for session in (plain, watched)]
    assert not differing(states[0]["model"], states[1]["model"])
    assert 0 <= result.best_ap <= 1 and result.seconds > 0
    assert list((tmp_path / "watched" / "tensorboard").glob("events*"))


def test_a_new_run_starts_its_log_and_best_anew(coco, tmp_path, monkeypatch):
    fake_evaluations(monkeypatch, [0.9])
    options = tiny_options(steps=1)
    run_training(options, tiny_session(tmp_path), coco, coco)
    result = run_training(options, tiny_session(tmp_path), coco)
    assert result.best_ap is None and result.best_weights is None
    assert not (tmp_path / "best.safetensors").exists()
    assert [r["step"] for r in records(tmp_path)] == [1]


def test_the_log_tells_speed_and_the_loaders_share(coco, tmp_path):
    run_training(TINY_OPTIONS, tiny_session(tmp_path, log_every=2), coco)
    first, second = records(tmp_path)
    assert (first["step"], second["step"]) == (2, 4)
    assert {"focal", "pull", "push", "offset", "total", "gradient", "rate"} <= first.keys()
    assert first["images_per_s"] > 0 and 0 < first["loader_share"] < 1
    assert second["seconds"] >= first["seconds"]


def interrupt_after(monkeypatch: pytest.MonkeyPatch, step: int, times: int = 1) -> None:
    """Send this process Ctrl-C in the middle of a step."""
    take = Trainer.train_step

    def train_step(trainer: Trainer, batches) -> dict[str, float]:
        if trainer.step + 1 == step:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return take(trainer, batches)

    monkeypatch.setattr(Trainer, "train_step", train_step)


def test_ctrl_c_finishes_the_step_and_saves_it(coco, tmp_path, monkeypatch):
    options = tiny_options(steps=4)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(TrainingStopped, match=r"stopped after step 2.*--resume"):
            run_training(options, tiny_session(tmp_path / "parts"), coco)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert read_state(tmp_path / "parts")["step"] == 2
    run_training(options, tiny_session(tmp_path / "parts", resume=True), coco)
    run_training(options, tiny_session(tmp_path / "whole"), coco)
    assert_same_end(tmp_path / "parts", tmp_path / "whole")


def test_a_second_ctrl_c_does_not_wait(coco, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 2, times=2)
    with pytest.raises(KeyboardInterrupt) as stop:
        run_training(TINY_OPTIONS, tiny_session(tmp_path), coco)
    assert not isinstance(stop.value, TrainingStopped)


def test_ctrl_c_while_evaluating_saves_as_well(coco, tmp_path, monkeypatch):
    seen = []

    def slow_evaluate(validation, predict, limit):
        os.kill(os.getpid(), signal.SIGINT)
        seen.append(predict(torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()))

    monkeypatch.setattr(detectors.training_evaluation, "evaluate", slow_evaluate)
    with pytest.raises(TrainingStopped, match="step 1"):
        run_training(TINY_OPTIONS, tiny_session(tmp_path, evaluate_every=1), coco, coco)
    assert not seen and read_state(tmp_path)["step"] == 1


def test_a_bad_loss_leaves_the_last_good_checkpoint(coco, tmp_path, monkeypatch):
    take = Trainer.train_step

    def train_step(trainer: Trainer, batches) -> dict[str, float]:
        batch = next(batches)
        if trainer.step == 2:
            batch["br_off"] = batch["br_off"] / 0.0
        return take(trainer, iter([batch]))

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", train_step)
        with pytest.raises(TrainingError, match="step 3 has no finite offset"):
            run_training(TINY_OPTIONS, tiny_session(tmp_path, save_every=2), coco)
    assert read_state(tmp_path)["step"] == 2
    run_training(TINY_OPTIONS, tiny_session(tmp_path, resume=True), coco)


def test_resuming_with_other_options_or_images_names_them(coco, tmp_path):
    run_training(TINY_OPTIONS, tiny_session(tmp_path, stop_after=1), coco)
    resume = tiny_session(tmp_path, resume=True)
    with pytest.raises(CheckpointError, match=r"\(rate was 0.001, is 0.5; seed was 3, is 4\)"):
        run_training(tiny_options(rate=0.5, seed=4), resume, coco)
    with pytest.raises(CheckpointError, match="micro_batch was 2, is 1"):
        run_training(tiny_options(accumulate=2), resume, coco)


def test_a_full_disk_is_one_clear_error_and_keeps_the_checkpoint(coco, tmp_path, monkeypatch):
    run_training(TINY_OPTIONS, tiny_session(tmp_path, stop_after=1), coco)
    before = (tmp_path / "last.pt").read_bytes()

    def full(state, stream):
        stream.write(b"some of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match=r"last.pt \(No space left on device\).*is intact"):
        run_training(TINY_OPTIONS, tiny_session(tmp_path, resume=True), coco)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_leftovers_of_killed_runs_are_removed(coco, tmp_path):
    (tmp_path / ".last.4711.part.pt").write_bytes(b"half a checkpoint")
    run_training(tiny_options(steps=1), tiny_session(tmp_path), coco)
    assert not list(tmp_path.glob(".*"))


def test_a_validation_set_of_other_classes_is_refused(coco, tmp_path):
    import dataclasses

    other = dataclasses.replace(coco, class_names=("cat", *coco.class_names[1:]))
    with pytest.raises(DatasetError, match="validation set has classes cat"):
        run_training(TINY_OPTIONS, tiny_session(tmp_path), coco, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"save_every": 0}, "--save-every is 0"),
        ({"log_every": 0}, "--log-every is 0"),
        ({"evaluate_every": 0}, "--evaluate-every is 0"),
        ({"workers": -1}, "--workers is -1"),
    ],
)
def test_a_session_that_cannot_be_is_refused(coco, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        run_training(TINY_OPTIONS, tiny_session(tmp_path, **changes), coco)


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(coco, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--out cannot write"):
        run_training(TINY_OPTIONS, tiny_session(tmp_path / "file" / "x"), coco)


@pytest.mark.slow
def test_the_published_recipe_trains_squeeze(coco, tmp_path):
    recipe = {**RECIPES["published"], "steps": 2, "decay_at": 0.5, "batch": 4}
    recipe["accumulate"] = 2
    options = TrainOptions("cornernet-squeeze", (255, 255), **recipe)
    result = run_training(options, tiny_session(tmp_path), coco)
    assert [r["rate"] for r in records(tmp_path)] == [2.5e-4, 2.5e-5]
    load_checkpoint(build_detector("cornernet-squeeze", 6), result.weights)


def test_a_network_of_ones_own_is_trained_in_place_of_the_registrys(coco, tmp_path):
    network = build_detector("cornernet-nano", 6)
    network.tl_module.pool1 = nn.Identity()
    run_training(tiny_options(steps=1), tiny_session(tmp_path), coco, network=network)
    assert network.stem[0].conv.weight.grad is not None
