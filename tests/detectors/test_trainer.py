"""The trainer: one step, its losses and gradients, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detectors.checkpoints import save_checkpoint
from detectors.processes import OneProcess
from detectors.registry import build_detector
from detectors.trainer import Trainer, check_precision
from runtime.errors import CheckpointError, TrainingError, UsageError
from tests.detectors.tiny_training import TINY_OPTIONS, differing, tiny_batches, tiny_options


def gradients(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in trainer.network.named_parameters()}


def test_repeated_steps_on_one_batch_lower_the_loss(shapes):
    options = tiny_options(steps=60, rate=2e-3)
    trainer = Trainer(options, 6)
    batch = next(tiny_batches(shapes, options))
    totals = [trainer.train_step(iter([batch]))["total"] for _ in range(12)]
    assert totals[-1] < 0.7 * totals[0]
    assert trainer.step == 12 and trainer.rate < 2e-3


def test_the_parts_weigh_as_much_as_the_options_say(shapes):
    batch = next(tiny_batches(shapes, TINY_OPTIONS))

    def losses(embedding: float, offset: float) -> dict[str, float]:
        trainer = Trainer(tiny_options(embedding_weight=embedding, offset_weight=offset), 6)
        return trainer.train_step(iter([batch]))

    without, doubled = losses(0.0, 0.0), losses(2.0, 3.0)
    assert without["pull"] + without["push"] > 0
    assert without["total"] == pytest.approx(without["focal"])
    embeddings = without["pull"] + without["push"]
    expected = without["focal"] + 2 * embeddings + 3 * without["offset"]
    assert doubled["total"] == pytest.approx(expected)


def test_averaged_weights_follow_the_network_slowly(shapes):
    trainer = Trainer(TINY_OPTIONS, 6)
    start = trainer.network.stem[0].conv.weight.detach().clone()
    trainer.train_step(tiny_batches(shapes, TINY_OPTIONS))
    moved = (trainer.network.stem[0].conv.weight - start).abs().max()
    followed = (trainer.average.network.stem[0].conv.weight - start).abs().max()
    assert 0 < followed < moved


def test_accumulated_gradients_are_the_mean_of_those_of_the_micro_batches(shapes):
    options = tiny_options(batch=4, accumulate=2, max_gradient_norm=0.0)
    batches = tiny_batches(shapes, options)
    parts = [next(batches), next(batches)]
    both = Trainer(options, 6)
    means = both.train_step(iter(parts))
    alone, losses = [], []
    for part in parts:
        trainer = Trainer(tiny_options(max_gradient_norm=0.0), 6)
        losses.append(trainer.train_step(iter([part])))
        alone.append(gradients(trainer))
    assert means["total"] == pytest.approx((losses[0]["total"] + losses[1]["total"]) / 2)
    for name, gradient in gradients(both).items():
        torch.testing.assert_close(gradient, (alone[0][name] + alone[1][name]) / 2)


def test_long_gradients_are_shortened_and_their_length_is_reported(shapes):
    trainer = Trainer(tiny_options(max_gradient_norm=0.5), 6)
    reported = trainer.train_step(tiny_batches(shapes, TINY_OPTIONS))["gradient"]
    norm = torch.stack([g.norm() for g in gradients(trainer).values()]).norm()
    assert reported > 1 and norm == pytest.approx(0.5, rel=1e-3)


def test_bfloat16_computes_nearly_the_same(shapes):
    batch = next(tiny_batches(shapes, TINY_OPTIONS))
    exact, rough = (
        Trainer(tiny_options(precision=precision), 6).train_step(iter([batch]))["total"]
        for precision in ("float32", "bfloat16")
    )
    assert exact != rough and rough == pytest.approx(exact, rel=0.05)


def test_both_memory_layouts_compute_the_same(shapes):
    batch = next(tiny_batches(shapes, TINY_OPTIONS))
    last, first = (Trainer(TINY_OPTIONS, 6, channels_last=choice) for choice in (True, False))
    assert not last.network.stem[0].conv.weight.is_contiguous()
    assert first.network.stem[0].conv.weight.is_contiguous()
    totals = [trainer.train_step(iter([batch]))["total"] for trainer in (last, first)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-4)


def test_a_single_value_for_batch_normalisation_is_refused(shapes):
    options = tiny_options(size_hw=(32, 32), batch=1)
    with pytest.raises(UsageError, match="1 image of 32x32 goes through the network at once"):
        Trainer(options, 6).train_step(tiny_batches(shapes, options))


class Poisoned(nn.Module):
    """Nano, with a number added to its first top-left embedding map."""

    def __init__(self, value: float) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.nano = build_detector("cornernet-nano", 6)
        self.value = value

    def forward(self, images):
        (maps,) = self.nano(images)
        return [{**maps, "tl_tag": maps["tl_tag"] * self.value}]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_itself_and_the_images(shapes, value):
    trainer = Trainer(TINY_OPTIONS, 6, network=Poisoned(value))
    before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
    batch = next(tiny_batches(shapes, TINY_OPTIONS))
    ids = ", ".join(str(i) for i in sorted(batch["image_id"].tolist()))
    with pytest.raises(TrainingError, match=rf"step 1 has no finite pull.* with id {ids};"):
        trainer.train_step(iter([batch]))
    assert trainer.step == 0
    assert not differing(before, dict(trainer.network.named_parameters()))


def test_only_the_micro_batch_with_the_bad_loss_is_named(shapes):
    options = tiny_options(batch=4, accumulate=2)
    batches = tiny_batches(shapes, options)
    good, bad = next(batches), next(batches)
    bad["tl_off"] = torch.full_like(bad["tl_off"], float("nan"))
    ids = ", ".join(str(i) for i in sorted(bad["image_id"].tolist()))
    with pytest.raises(TrainingError, match=rf"no finite offset on the images with id {ids};"):
        Trainer(options, 6).train_step(iter([good, bad]))


def test_a_gradient_that_is_not_finite_stops_as_well(shapes):
    class Overflowing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * float("inf")

    network = Poisoned(1.0)
    network.nano.stem.register_forward_hook(lambda *call: Overflowing.apply(call[-1]))
    trainer = Trainer(TINY_OPTIONS, 6, network=network)
    with pytest.raises(TrainingError, match="no finite gradient"):
        trainer.train_step(tiny_batches(shapes, TINY_OPTIONS))


def test_other_weights_replace_the_random_ones(tmp_path):
    weights = tmp_path / "other.safetensors"
    torch.manual_seed(99)
    other = build_detector("cornernet-nano", 6)
    save_checkpoint(other, weights, {})
    trainer = Trainer(TINY_OPTIONS, 6)
    trainer.begin_with(weights, ("any",))
    assert not differing(other.state_dict(), trainer.network.state_dict())
    assert not differing(other.state_dict(), trainer.average.network.state_dict())
    with pytest.raises(CheckpointError, match="none"):
        trainer.begin_with(tmp_path / "none.safetensors", ("any",))


def test_the_seed_determines_the_first_weights():
    first, again, other = (Trainer(tiny_options(seed=seed), 6).network for seed in (3, 3, 4))
    assert not differing(first.state_dict(), again.state_dict())
    assert differing(first.state_dict(), other.state_dict())


def test_float16_needs_a_gpu():
    with pytest.raises(UsageError, match="--precision float16 needs a GPU"):
        Trainer(tiny_options(precision="float16"), 6, OneProcess(torch.device("cpu")))
    check_precision(tiny_options(precision="float16"), torch.device("cuda"))
