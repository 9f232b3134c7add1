"""Corner pooling as one torch operator, ``cornerrt::corner_pool``, with its gradient.

The forward pass doubles its reach in every step: after steps of 1, 2, 4 ... cells, every cell holds
the maximum of the whole walk. The gradient of a cell is the sum over the stretch of the walk where
it was the maximum. ``benchmarks/corner_pooling.py`` times both against ``torch.cummax``.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, section 3.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from plugins.reference import Walk, find_walk

# One MiB of float32: each pass over a part finds it in a core's second-level cache.
PART_ELEMENTS = 1 << 18


def corner_pool(x: Tensor, direction: str) -> Tensor:
    """Replace every cell by the largest value met on a straight walk to it from one border.

    ``"top"`` lets maxima travel upwards: a cell takes the maximum of itself and all cells below
    it. Exact; NaN counts as larger than every number. Differentiable once: of equal values, the
    first one on the walk receives the gradient, and none beyond a NaN does.

    Args:
        x: Float (N, C, H, W), any memory layout, on any device; not modified.
        direction: "top", "bottom", "left" or "right", the border that maxima travel towards.

    Returns:
        New tensor with the shape, dtype and memory layout of ``x``.

    Raises:
        ValueError: If ``x`` is not 4-D or not floating point, or ``direction`` is unknown.

    Example:
        >>> corner_pool(torch.tensor([1.0, 3.0, 2.0]).view(1, 1, 3, 1), "top").flatten().tolist()
        [3.0, 3.0, 2.0]
    """
    return torch.ops.cornerrt.corner_pool(x, direction)


@torch.library.custom_op("cornerrt::corner_pool", mutates_args=())
def _corner_pool(x: Tensor, direction: str) -> Tensor:
    walk = _check(x, direction)
    result = torch.empty_like(x, memory_format=_layout(x))
    axis, count = _part_size(result)
    for part, part_result in zip(x.split(count, axis), result.split(count, axis), strict=True):
        _pool_into(part_result, part, walk)
    return result


@_corner_pool.register_fake
def _(x: Tensor, direction: str) -> Tensor:
    _check(x, direction)
    return torch.empty_like(x, memory_format=_layout(x))


def _pool_into(result: Tensor, source: Tensor, walk: Walk) -> None:
    """Double the stretch that every cell has seen until it is the whole walk."""
    length = source.shape[walk.axis]
    if length <= 1:
        result.copy_(source)
        return
    target, spare = torch.empty_like(result), torch.empty_like(result)
    reach = 1
    while reach < length:
        if 2 * reach >= length:
            target = result
        earlier, later = _pairs(source, walk, reach)
        torch.maximum(earlier, later, out=_pairs(target, walk, reach)[1])
        _first(target, walk, reach).copy_(_first(source, walk, reach))
        source, target, spare = target, spare, target
        reach *= 2


@torch.library.custom_op("cornerrt::corner_pool_backward", mutates_args=())
def _corner_pool_backward(grad: Tensor, pooled: Tensor, direction: str) -> Tensor:
    walk = _check(pooled, direction)
    # 1 where the maximum changes: compared into floats, which is faster than into booleans.
    starts = torch.ones_like(pooled)
    step = min(1, pooled.shape[walk.axis])
    earlier, later = _pairs(pooled, walk, step)
    torch.gt(later, earlier, out=_pairs(starts, walk, step)[1])
    # Half precision is summed in float32: a stretch can be as long as the map.
    dtype = torch.float64 if pooled.dtype == torch.float64 else torch.float32
    starts = starts.to(dtype)
    grad = grad.contiguous(memory_format=_layout(pooled)).to(dtype)
    if walk.axis == 3 and grad.device.type == "cpu" and grad.is_contiguous():
        return _sum_stretches_in_rows(grad, starts, walk).to(pooled.dtype)
    return _sum_stretches(grad, starts, walk).to(pooled.dtype)


@_corner_pool_backward.register_fake
def _(grad: Tensor, pooled: Tensor, direction: str) -> Tensor:
    return torch.empty_like(pooled)


def _sum_stretches(grad: Tensor, starts: Tensor, walk: Walk) -> Tensor:
    """Carry sums backwards along the walk, a whole row or column of the map at a time."""
    sums, stays = torch.empty_like(grad), 1 - starts
    steps = list(zip(*(values.unbind(walk.axis) for values in (grad, stays, sums)), strict=True))
    if not walk.from_end:
        steps.reverse()
    carried = later_stays = torch.zeros((), dtype=grad.dtype, device=grad.device)
    for cell_grad, cell_stays, cell_sum in steps:
        torch.addcmul(cell_grad, carried, later_stays, out=cell_sum)
        carried, later_stays = cell_sum, cell_stays
    return sums.mul_(starts)


def _sum_stretches_in_rows(grad: Tensor, starts: Tensor, walk: Walk) -> Tensor:
    """Sum runs of neighbours in memory; steps from column to column were three times slower."""
    winners = np.flatnonzero(starts.numpy().astype(bool))
    result = torch.zeros_like(grad)
    if winners.size:
        # A walk from the end meets the winner first: in memory, its run ends there.
        runs = np.append(0, winners[:-1] + 1) if walk.from_end else winners
        result.numpy().reshape(-1)[winners] = np.add.reduceat(grad.numpy().reshape(-1), runs)
    return result


def _keep_for_backward(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
    ctx.direction = inputs[1]
    ctx.save_for_backward(output)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    (pooled,) = ctx.saved_tensors
    return torch.ops.cornerrt.corner_pool_backward(grad, pooled, ctx.direction), None


_corner_pool.register_autograd(_backward, setup_context=_keep_for_backward)


def _pairs(values: Tensor, walk: Walk, distance: int) -> tuple[Tensor, Tensor]:
    """Return views of all cells that are ``distance`` apart: earlier and later on the walk."""
    count = values.shape[walk.axis] - distance
    low = values.narrow(walk.axis, 0, count)
    high = values.narrow(walk.axis, distance, count)
    return (high, low) if walk.from_end else (low, high)


def _first(values: Tensor, walk: Walk, count: int) -> Tensor:
    """Return a view of the first ``count`` rows or columns of the walk."""
    start = values.shape[walk.axis] - count if walk.from_end else 0
    return values.narrow(walk.axis, start, count)


def _layout(x: Tensor) -> torch.memory_format:
    """Return the layout of results: channels last where ``x`` is, otherwise contiguous."""
    if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
        return torch.contiguous_format
    return torch.channels_last


def _part_size(values: Tensor) -> tuple[int, int]:
    """Return the axis to split and the length of parts, so that a part stays in a CPU's cache."""
    axis = 1 if values.shape[0] == 1 and values.is_contiguous() else 0
    if values.device.type != "cpu" or values.numel() <= PART_ELEMENTS:
        return axis, max(1, values.shape[axis])
    return axis, max(1, PART_ELEMENTS * values.shape[axis] // values.numel())


def _check(x: Tensor, direction: str) -> Walk:
    walk = find_walk(direction)
    if x.dim() != 4 or not x.is_floating_point():
        raise ValueError(
            f"corner_pool got {x.dtype} of shape {tuple(x.shape)}; "
            "expected a floating-point tensor (N, C, H, W)"
        )
    return walk
