"""Losses of CenterNets: by hand, their weights, and what is missing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from detectors.centernet_losses import centernet_loss, l1_loss
from detectors.losses import LossWeights, focal_loss


def random_batch(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    maps = {"hm": random(2, 3, 4, 5) - 2, "wh": 9 * random(2, 2, 4, 5), "reg": random(2, 2, 4, 5)}
    heat = random(2, 3, 4, 5) * 0.9
    heat[0, 1, 2, 3] = heat[1, 0, 0, 0] = 1
    targets = {
        "hm": heat,
        "wh": 9 * random(2, 2, 2),
        "reg": random(2, 2, 2),
        "inds": torch.tensor([[13, 0], [0, 7]]),
        "mask": torch.tensor([[1, 0], [1, 0]], dtype=torch.uint8),
    }
    return maps, targets


def test_parts_by_hand() -> None:
    maps, targets = random_batch(1)
    losses = centernet_loss([maps], targets)
    assert set(losses) == {"focal", "size", "offset", "total"}
    torch.testing.assert_close(losses["focal"], focal_loss(maps["hm"], targets["hm"]))
    for part, name in (("size", "wh"), ("offset", "reg")):
        got = torch.stack([maps[name][0, :, 2, 3], maps[name][1, :, 0, 0]])
        difference = (got - targets[name][:, 0]).abs().sum()
        assert losses[part].item() == pytest.approx(difference.item() / 4, rel=1e-4)


def test_the_total_has_the_published_weights() -> None:
    losses = centernet_loss([random_batch(1)[0]], random_batch(1)[1])
    expected = losses["focal"] + 0.1 * losses["size"] + losses["offset"]
    assert losses["total"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_total_of_two_stacks_has_the_weights_asked_for() -> None:
    maps, targets = random_batch(2)
    one = centernet_loss([maps], targets)
    two = centernet_loss([maps, maps], targets, LossWeights(size=2.0, offset=3.0))
    assert two["size"].item() == pytest.approx(2 * one["size"].item(), rel=1e-6)
    expected = one["focal"] + 2 * one["size"] + 3 * one["offset"]
    assert two["total"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_an_image_without_objects_teaches_silence_alone() -> None:
    maps, targets = random_batch(3)
    targets = {name: torch.zeros_like(values) for name, values in targets.items()}
    losses = centernet_loss([maps], targets)
    assert losses["size"].item() == losses["offset"].item() == 0
    assert losses["focal"].item() > 0
    assert math.isfinite(losses["total"].item())


def test_rows_without_an_object_do_not_count() -> None:
    mask = torch.tensor([[True, False]])
    values, target = torch.ones(1, 2, 2), torch.zeros(1, 2, 2)
    before = l1_loss(values, target, mask)
    values[0, 1] = 1e9
    torch.testing.assert_close(l1_loss(values, target, mask), before)
    assert before.item() == pytest.approx(1.0, rel=1e-4)


def test_gradients_reach_the_objects_cells_alone() -> None:
    maps, targets = random_batch(4)
    maps["wh"].requires_grad_()
    centernet_loss([maps], targets)["size"].backward()
    touched = maps["wh"].grad.ne(0).any(1).nonzero().tolist()
    assert touched == [[0, 2, 3], [1, 0, 0]]


def test_half_precision_is_compared_in_single() -> None:
    maps, targets = random_batch(5)
    halves = {name: values.half() for name, values in maps.items()}
    total = centernet_loss([halves], targets)["total"]
    assert total.dtype == torch.float32
    single = centernet_loss([{n: v.float() for n, v in halves.items()}], targets)["total"]
    assert total.item() == single.item()


def test_modifies_nothing() -> None:
    maps, targets = random_batch(6)
    before = {name: values.clone() for name, values in maps.items()}
    centernet_loss([maps], targets)
    assert all(torch.equal(before[name], values) for name, values in maps.items())


def test_refuses_no_stack() -> None:
    with pytest.raises(ValueError, match="got no stack"):
        centernet_loss([], {})


def test_names_a_missing_map_and_a_missing_target() -> None:
    maps, targets = random_batch(7)
    with pytest.raises(ValueError, match=r"stack 1 lacks \['wh'\]"):
        centernet_loss([maps, {k: v for k, v in maps.items() if k != "wh"}], targets)
    with pytest.raises(ValueError, match=r"targets lack \['inds'\]"):
        centernet_loss([maps], {k: v for k, v in targets.items() if k != "inds"})
