"""Weights averaged over the last steps: less noisy than those of any single step."""

from __future__ import annotations

import copy

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """An exponential moving average of a network's weights and statistics.

    Args:
        network: The network in training; not modified, and followed by ``update``.
        decay: The average looks back over about 1 / (1 - decay) steps; 0 follows at once.

    Attributes:
        network: A copy in evaluation mode that holds the average.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        current, averaged = (
            [*module.parameters(), *module.buffers()] for module in (network, self.network)
        )
        pairs = list(zip(averaged, current, strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    def update(self, step: int) -> None:
        """Move the average towards the network.

        Args:
            step: Steps done so far, from 1; early on the average follows faster.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged, current = zip(*self._floats, strict=True)
        get_ema_multi_avg_fn(decay)(list(averaged), list(current), None)
        for counter, value in self._counters:
            counter.copy_(value)
