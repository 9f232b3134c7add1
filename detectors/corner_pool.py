"""Corner pooling as one torch operator, ``cornerrt::corner_pool``, with its gradient.

The forward pass has three forms, each the fastest somewhere. A CPU carries maxima from line to line
where the cells of a line are neighbours in memory. Where the walk itself runs through memory, it
takes ``torch.cummax`` towards the end and doubling towards the start: after steps of 1, 2, 4 ...
cells, every cell holds the maximum of the whole walk. Other devices double, which takes the fewest
launches. The gradient of a cell is the sum over the stretch of the walk where it was the maximum.
``benchmarks/corner_pooling.py`` times both passes against ``torch.cummax``.

Source: Law and Deng, "CornerNet", arXiv:1808.01244, section 3.5.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plugins.reference import Walk, find_walk

# Cells that are pooled at once where the walk runs through memory: of the powers of two, these were
# the fastest. Smaller parts pay more for calls, larger ones leave a core's second-level cache.
DOUBLING_PART = 1 << 18
CUMMAX_PART = 1 << 16


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
    x = x.contiguous(memory_format=_layout(x))
    result = torch.empty_like(x)
    if x.numel() == 0:
        return result
    if x.device.type != "cpu":
        _pool_by_doubling(result, x, walk)
    elif _runs_through_memory(x, walk):
        _pool_rows(result, x, walk)
    else:
        _pool_by_lines(result, x, walk)
    return result


@_corner_pool.register_fake
def _(x: Tensor, direction: str) -> Tensor:
    _check(x, direction)
    return torch.empty_like(x, memory_format=_layout(x))


def _pool_by_lines(result: Tensor, source: Tensor, walk: Walk) -> None:
    """Carry maxima along the walk, a whole row or column of the map at a time."""
    lines = list(zip(result.unbind(walk.axis), source.unbind(walk.axis), strict=True))
    if walk.from_end:
        lines.reverse()
    lines[0][0].copy_(lines[0][1])
    for (earlier, _), (line_result, line) in pairwise(lines):
        torch.maximum(earlier, line, out=line_result)


def _pool_rows(result: Tensor, source: Tensor, walk: Walk) -> None:
    """Pool along rows of memory, in parts that stay in a CPU's cache."""
    pool, part_size = (
        (_pool_by_doubling, DOUBLING_PART) if walk.from_end else (_pool_by_cummax, CUMMAX_PART)
    )
    length = source.shape[walk.axis]
    rows, row_results = (values.view(1, 1, -1, length) for values in (source, result))
    count = max(1, part_size // length)
    for part, part_result in zip(rows.split(count, 2), row_results.split(count, 2), strict=True):
        pool(part_result, part, walk._replace(axis=3))


def _pool_by_cummax(result: Tensor, source: Tensor, walk: Walk) -> None:
    """Let torch walk; it cannot walk from the end."""
    torch.cummax(source, walk.axis, out=(result, torch.empty_like(source, dtype=torch.int64)))


def _pool_by_doubling(result: Tensor, source: Tensor, walk: Walk) -> None:
    """Double the stretch that every cell has seen until it is the whole walk."""
    length = source.shape[walk.axis]
    if length == 1:
        result.copy_(source)
        return
    target, spare = torch.empty_like(result), torch.empty_like(result)
    reach = 1
    while reach < length:
        if 2 * reach >= length:
            target = result
        earlier, later = _pairs(source, walk, reach)
        torch.maximum(earlier, later, out=_pairs(target, walk, reach)[1])
        # Pairs across the border of a map are wrong here; its first cells have seen their walk.
        _first(target, walk, reach).copy_(_first(source, walk, reach))
        source, target, spare = target, spare, target
        reach *= 2


@torch.library.custom_op("cornerrt::corner_pool_backward", mutates_args=())
def _corner_pool_backward(grad: Tensor, pooled: Tensor, direction: str) -> Tensor:
    walk = _check(pooled, direction)
    layout = _layout(pooled)
    grad, pooled = (values.contiguous(memory_format=layout) for values in (grad, pooled))
    # Half precision is summed in float32: a stretch can be as long as the map.
    dtype = torch.float64 if pooled.dtype == torch.float64 else torch.float32
    by_rows = pooled.device.type == "cpu" and _runs_through_memory(pooled, walk)
    sum_up = _sum_stretches_in_rows if by_rows else _sum_stretches
    return sum_up(grad.to(dtype), pooled, walk).to(pooled.dtype)


@_corner_pool_backward.register_fake
def _(grad: Tensor, pooled: Tensor, direction: str) -> Tensor:
    return torch.empty_like(pooled)


def _sum_stretches(grad: Tensor, pooled: Tensor, walk: Walk) -> Tensor:
    """Carry sums backwards along the walk, a whole row or column of the map at a time."""
    starts = _starts(pooled, walk, grad.dtype)
    sums, stays = torch.empty_like(grad), 1 - starts
    steps = list(zip(*(values.unbind(walk.axis) for values in (grad, stays, sums)), strict=True))
    if not walk.from_end:
        steps.reverse()
    carried = later_stays = torch.zeros((), dtype=grad.dtype, device=grad.device)
    for cell_grad, cell_stays, cell_sum in steps:
        torch.addcmul(cell_grad, carried, later_stays, out=cell_sum)
        carried, later_stays = cell_sum, cell_stays
    return sums.mul_(starts)


def _sum_stretches_in_rows(grad: Tensor, pooled: Tensor, walk: Walk) -> Tensor:
    """Sum runs of neighbours in memory; steps from column to column were three times slower."""
    winners = np.flatnonzero(_starts(pooled, walk, torch.bool).numpy())
    result = torch.zeros_like(grad)
    if winners.size:
        # A walk from the end meets the winner first: in memory, its run ends there.
        runs = np.append(0, winners[:-1] + 1) if walk.from_end else winners
        result.numpy().reshape(-1)[winners] = np.add.reduceat(grad.numpy().reshape(-1), runs)
    return result


def _starts(pooled: Tensor, walk: Walk, dtype: torch.dtype) -> Tensor:
    """Return 1 where a walk begins or its maximum changes, elsewhere 0."""
    starts = torch.ones_like(pooled, dtype=dtype)
    if pooled.shape[walk.axis] > 1 and pooled.numel():
        earlier, later = _pairs(pooled, walk, 1)
        torch.gt(later, earlier, out=_pairs(starts, walk, 1)[1])
        _first(starts, walk, 1).fill_(1)
    return starts


def _keep_for_backward(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
    ctx.direction = inputs[1]
    ctx.save_for_backward(output)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    (pooled,) = ctx.saved_tensors
    return torch.ops.cornerrt.corner_pool_backward(grad, pooled, ctx.direction), None


_corner_pool.register_autograd(_backward, setup_context=_keep_for_backward)


def _pairs(values: Tensor, walk: Walk, distance: int) -> tuple[Tensor, Tensor]:
    """Return flat views of cells that are ``distance`` apart: earlier and later on the walk.

    A flat view of dense memory is walked through faster than the rows of a map. Its last or first
    pairs join neighbouring maps; callers overwrite them.
    """
    shift = distance * values.stride(walk.axis)
    flat = values.as_strided((values.numel(),), (1,))
    low, high = flat[:-shift], flat[shift:]
    return (high, low) if walk.from_end else (low, high)


def _first(values: Tensor, walk: Walk, count: int) -> Tensor:
    """Return a view of the first ``count`` rows or columns of the walk."""
    start = values.shape[walk.axis] - count if walk.from_end else 0
    return values.narrow(walk.axis, start, count)


def _runs_through_memory(values: Tensor, walk: Walk) -> bool:
    """Say whether neighbours on a walk are neighbours in memory."""
    return values.is_contiguous() and values.stride(walk.axis) == 1


def _layout(x: Tensor) -> torch.memory_format:
    """Return the layout of results: channels last where ``x`` is, otherwise contiguous."""
    if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
        return torch.contiguous_format
    return torch.channels_last


def _check(x: Tensor, direction: str) -> Walk:
    walk = find_walk(direction)
    if x.dim() != 4 or not x.is_floating_point():
        raise ValueError(
            f"corner_pool got {x.dtype} of shape {tuple(x.shape)}; "
            "expected a floating-point tensor (N, C, H, W)"
        )
    return walk
