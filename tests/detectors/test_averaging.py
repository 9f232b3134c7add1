"""Averaged weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detectors.averaging import WeightAverage


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def shift(net: nn.Module, distance: int) -> None:
    with torch.no_grad():
        for value in [*net.parameters(), *net.buffers()]:
            value.add_(distance)


def test_early_steps_follow_faster_than_the_decay():
    net = network()
    average = WeightAverage(net, 0.9)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    shift(net, 1)
    average.update(1)  # decay min(0.9, 2 / 11)
    moved = average.network.state_dict()
    torch.testing.assert_close(moved["0.weight"], before["0.weight"] + 9 / 11)
    torch.testing.assert_close(moved["1.running_mean"], before["1.running_mean"] + 9 / 11)
    assert moved["1.num_batches_tracked"] == 1


def test_later_steps_follow_at_the_decay():
    net = network()
    average = WeightAverage(net, 0.9)
    before = net[0].bias.detach().clone()
    shift(net, 1)
    average.update(10_000)
    torch.testing.assert_close(average.network[0].bias, before + 0.1)


@pytest.mark.parametrize("step", [1, 1000])
def test_decay_0_averages_nothing(step: int):
    net = network()
    average = WeightAverage(net, 0.0)
    shift(net, 2)
    average.update(step)
    for key, value in net.state_dict().items():
        assert torch.equal(average.network.state_dict()[key], value), key


def test_the_average_is_a_copy_in_evaluation_mode_that_learns_nothing():
    net = network()
    average = WeightAverage(net, 0.9)
    assert net.training and not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())
    shift(net, 5)
    assert not torch.equal(average.network[0].weight, net[0].weight)
