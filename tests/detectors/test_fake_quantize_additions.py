"""Rounding the operands of additions, and nothing else."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from detectors.fake_quantize_additions import round_additions


class Sums(nn.Module):
    """Adds in its own ``forward``, in a child's, and again."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Doubled()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first = x + x
        inner = self.child(x)
        return first, inner, torch.add(x, first)


class Doubled(nn.Module):
    """A child that adds, and refuses empty inputs."""

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() == 0:
            raise ValueError("empty")
        return x + x


X = torch.tensor([0.3])


def values(network: nn.Module) -> list[float]:
    return [round(float(value), 3) for value in network(X)]


def network_with(**scales: tuple[float | None, float | None]) -> nn.Module:
    network = Sums()
    round_additions(network, {name.replace("__", "/"): pair for name, pair in scales.items()})
    return network


def test_without_scales_nothing_is_watched():
    network = network_with()
    assert values(network) == [0.6, 0.6, 0.9] and not network._forward_pre_hooks


def test_each_operand_of_each_addition_has_its_own_scale():
    assert values(network_with(Add=(0.25, None))) == [0.55, 0.6, 0.85]
    assert values(network_with(Add=(None, 0.5))) == [0.8, 0.6, 1.1]
    assert values(network_with(Add_1=(0.25, None))) == [0.6, 0.6, 0.85]
    assert values(network_with(child__Add=(0.25, 0.25))) == [0.6, 0.5, 0.9]


def test_every_pass_counts_anew():
    network = network_with(Add_1=(0.25, None))
    assert values(network) == values(network) == [0.6, 0.6, 0.85]


def test_a_copy_rounds_on_its_own():
    network = network_with(child__Add=(0.25, 0.25))
    twin = copy.deepcopy(network)
    assert values(twin) == values(network) == [0.6, 0.5, 0.9]
    hooks = [next(iter(n._forward_pre_hooks.values())).__self__ for n in (network, twin)]
    assert hooks[0] is not hooks[1]


def test_additions_outside_the_network_stay():
    network = network_with(Add=(0.25, 0.25))
    network(X)
    assert float(X + X) == pytest.approx(0.6)


def test_an_error_ends_the_watch():
    network = network_with(Add=(0.25, 0.25))
    with pytest.raises(ValueError, match="empty"):
        network(torch.zeros(0))
    assert float(X + X) == pytest.approx(0.6) and values(network)[0] == 0.5
