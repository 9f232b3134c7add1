"""The trainer: steps, rates, averages."""

from __future__ import annotations

import pytest
import torch

from detectors.checkpoints import save_checkpoint
from detectors.dataset import read_coco
from detectors.registry import build_detector
from detectors.train import load_batches
from detectors.trainer import Trainer, TrainOptions, rate_at
from runtime.errors import CheckpointError
from tests.detectors.tiny_training import TINY_OPTIONS


def test_the_rate_rises_then_falls():
    options = TrainOptions("cornernet-nano", (64, 64), 100, 2, 1.0, 10, False, False, 0.25, 0.1, 0)
    rates = [rate_at(step, options) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.02, abs=0.001)


def test_repeated_steps_on_one_batch_lower_the_loss(shapes):
    trainer = Trainer(TrainOptions(**{**vars(TINY_OPTIONS), "steps": 60, "rate": 2e-3}), 6)
    batch = next(load_batches(trainer, read_coco(shapes), workers=0))
    totals = [trainer.train_step(dict(batch))["total"] for _ in range(12)]
    assert totals[-1] < 0.7 * totals[0]


def test_the_embeddings_weigh_as_much_as_the_options_say(shapes):
    batch = next(load_batches(Trainer(TINY_OPTIONS, 6), read_coco(shapes), workers=0))

    def losses(weight: float) -> dict[str, float]:
        trainer = Trainer(TrainOptions(**{**vars(TINY_OPTIONS), "embedding_weight": weight}), 6)
        return trainer.train_step(dict(batch))

    without, doubled = losses(0.0), losses(2.0)
    assert without["pull"] + without["push"] > 0
    assert without["total"] == pytest.approx(without["focal"] + without["offset"])
    expected = without["total"] + 2 * (without["pull"] + without["push"])
    assert doubled["total"] == pytest.approx(expected)


def test_averaged_weights_follow_the_model_slowly(shapes):
    trainer = Trainer(TINY_OPTIONS, 6)
    start = trainer.average["stem.0.conv.weight"].clone()
    batch = next(load_batches(trainer, read_coco(shapes), workers=0))
    trainer.train_step(batch)
    moved = (trainer.model.state_dict()["stem.0.conv.weight"] - start).abs().max()
    followed = (trainer.average["stem.0.conv.weight"] - start).abs().max()
    assert 0 < followed < moved


def test_other_weights_replace_the_random_ones(tmp_path):
    weights = tmp_path / "other.safetensors"
    torch.manual_seed(99)
    other = build_detector("cornernet-nano", 6)
    save_checkpoint(other, weights, {})
    trainer = Trainer(TINY_OPTIONS, 6)
    trainer.begin_with(weights)
    for key, value in other.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(trainer.model.state_dict()[key], value), key
            assert torch.equal(trainer.average[key], value), key
    with pytest.raises(CheckpointError, match="none"):
        trainer.begin_with(tmp_path / "none.safetensors")
