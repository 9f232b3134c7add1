"""Corner pooling as others do it, for comparison: with torch.cummax, and as first published."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from plugins import reference


def cummax_pool(x: Tensor, direction: str) -> Tensor:
    """Pool with ``torch.cummax``, turning the map around where the walk starts at its end."""
    axis, from_end = reference.WALKS[direction]
    if not from_end:
        return x.cummax(axis).values
    return x.flip(axis).cummax(axis).values.flip(axis)


def log_step_pool(x: Tensor, direction: str) -> Tensor:
    """Pool as CornerNet-Lite's extension does; see ``LogStepPool``."""
    return LogStepPool.apply(x, direction)


class LogStepPool(torch.autograd.Function):
    """The log-step form of the CornerNet-Lite release, its steps taken from Python.

    Forward doubles the stretch that each cell has seen, in place. Backward walks line by line with
    the largest value so far and where it was, and adds each line's gradient there. The release
    runs the same torch operations from C++.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, direction: str) -> Tensor:
        """Return the pooled map, float (N, C, H, W) as ``x``."""
        axis, from_end = reference.WALKS[direction]
        ctx.save_for_backward(x)
        ctx.walk = axis, from_end
        pooled, length, step = x.clone(), x.shape[axis], 1
        while step < length:
            low, high = (pooled.narrow(axis, start, length - step) for start in (0, step))
            # Source and target overlap; the release writes in place, which torch now refuses.
            target, other = (low, high) if from_end else (high, low)
            target.copy_(torch.maximum(target, other))
            step *= 2
        return pooled

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Return the gradient; of equal values, the first on the walk receives it."""
        (x,) = ctx.saved_tensors
        axis, from_end = ctx.walk
        result = torch.zeros_like(x)
        order = range(x.shape[axis])
        walk = list(reversed(order)) if from_end else list(order)
        largest = x.select(axis, walk[0]).clone().unsqueeze(axis)
        where = torch.full_like(largest, walk[0], dtype=torch.int64)
        for index in walk:
            line = x.narrow(axis, index, 1)
            is_larger = line > largest
            largest = torch.where(is_larger, line, largest)
            where = where.masked_fill(is_larger, index)
            result.scatter_add_(axis, where, grad.narrow(axis, index, 1))
        return result, None
