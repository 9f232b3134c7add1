"""Modulated deformable convolution as one torch operator, ``cornerrt::deform_conv2d``.

Every tap of the kernel reads the map at a place of its own: the tap's usual cell plus an offset
that the network predicts, between cells by bilinear interpolation, weighted by a predicted mask.

The operator is written with gathers of whole rows of channels and one matrix product, so it runs
wherever torch does. Its operands are those of ONNX ``DeformConv`` (opset 19) with one group of
offsets, stride 1 and the padding that keeps the size.

Source: Zhu et al., "Deformable ConvNets v2", arXiv:1811.11168, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


def deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve, with every tap of the kernel moved and weighted; keeps height and width.

    What lies outside the map counts as zero, and a place up to one cell outside still sees its
    neighbours inside. Differentiable once, in all five operands.

    Args:
        x: Float (N, C, H, W).
        offset: Float (N, 2 * k * k, H, W), in cells: for every tap, row by row, how far it is moved
            down, then how far to the right.
        mask: Float (N, k * k, H, W), the factor of every tap.
        weight: Float (M, C, k, k), k odd.
        bias: Float (M,).

    Returns:
        New tensor (N, M, H, W) of the dtype of ``x``.

    Raises:
        ValueError: If the shapes do not fit each other; says got and expected.
    """
    return torch.ops.cornerrt.deform_conv2d(x, offset, mask, weight, bias)


class DeformableConv(nn.Module):
    """A deformable convolution that predicts its offsets and its mask from its own input.

    Attribute names are those of the published checkpoints.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Side of the square kernel, in cells; odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.taps = kernel * kernel
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_offset_mask = nn.Conv2d(in_channels, 3 * self.taps, kernel, padding=kernel // 2)
        bound = 1 / math.sqrt(in_channels * self.taps)
        nn.init.uniform_(self.weight, -bound, bound)
        # Begins as an ordinary convolution of half the strength: no offsets, every mask 0.5.
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        offset, mask = self.conv_offset_mask(x).split([2 * self.taps, self.taps], dim=1)
        return deform_conv2d(x, offset, mask.sigmoid(), self.weight, self.bias)


class _Neighbour(NamedTuple):
    """One of the four cells around every sampled place; every tensor is (N * H * W * k * k,).

    Attributes:
        rows: int64, the cell's row in the map flattened to (N * H * W, C).
        share: Its weight in the interpolated value, 0 outside the map.
        slope_y: Change of the share with the place's row.
        slope_x: Change of the share with the place's column.
    """

    rows: Tensor
    share: Tensor
    slope_y: Tensor
    slope_x: Tensor


@torch.library.custom_op("cornerrt::deform_conv2d", mutates_args=())
def _deform_conv2d(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check(x, offset, mask, weight, bias)
    columns = _columns(x, offset, mask)
    result = torch.addmm(bias, columns, _flat_kernel(weight))
    return _map_of(result, x)


@_deform_conv2d.register_fake
def _(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check(x, offset, mask, weight, bias)
    return x.new_empty(x.shape[0], weight.shape[0], *x.shape[2:])


@torch.library.custom_op("cornerrt::deform_conv2d_backward", mutates_args=())
def _deform_conv2d_backward(
    grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    rows, taps = _rows_of(x), _rows_of(mask).flatten()
    grad_rows = _rows_of(grad)
    grad_kernel = grad_rows.T @ _columns(x, offset, mask)
    grad_samples = (grad_rows @ _flat_kernel(weight).T).view(-1, x.shape[1])
    grad_x_rows = torch.zeros_like(rows)
    grad_mask, grad_y, grad_x = (torch.zeros_like(taps) for _ in range(3))
    for cell in _neighbours(x, offset):
        agreement = (grad_samples * rows.index_select(0, cell.rows)).sum(1)
        grad_mask += agreement * cell.share
        grad_y += agreement * cell.slope_y
        grad_x += agreement * cell.slope_x
        grad_x_rows.index_add_(0, cell.rows, grad_samples * (cell.share * taps)[:, None])
    moves = torch.stack((grad_y * taps, grad_x * taps), dim=1).view(-1, offset.shape[1])
    kernel_shape = (weight.shape[0], *weight.shape[2:], weight.shape[1])
    return (
        _map_of(grad_x_rows, x),
        _map_of(moves, x),
        _map_of(grad_mask.view(-1, mask.shape[1]), x),
        grad_kernel.view(kernel_shape).permute(0, 3, 1, 2).contiguous(),
        grad_rows.sum(0),
    )


@_deform_conv2d_backward.register_fake
def _(
    grad: Tensor, x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    shapes = (x.shape, offset.shape, mask.shape, weight.shape, weight.shape[:1])
    return tuple(x.new_empty(shape) for shape in shapes)


def _columns(x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
    """Return what the kernel is multiplied with, (N * H * W, k * k * C)."""
    rows, taps = _rows_of(x), _rows_of(mask).flatten()
    samples = sum(
        rows.index_select(0, cell.rows).mul_((cell.share * taps)[:, None])
        for cell in _neighbours(x, offset)
    )
    return samples.view(-1, mask.shape[1] * x.shape[1])


def _neighbours(x: Tensor, offset: Tensor) -> Iterator[_Neighbour]:
    """Yield the four cells around every sampled place."""
    count, _, height, width = x.shape
    place_y, place_x = _places(x, offset)
    top, left = place_y.floor(), place_x.floor()
    low, right = place_y - top, place_x - left
    first_rows = torch.arange(count, device=x.device).mul_(height * width).view(-1, 1, 1, 1)
    for is_below in (0, 1):
        for is_right in (0, 1):
            cell_y, cell_x = top.long() + is_below, left.long() + is_right
            inside = (cell_y >= 0) & (cell_y < height) & (cell_x >= 0) & (cell_x < width)
            share_y, share_x = (low if is_below else 1 - low), (right if is_right else 1 - right)
            rows = cell_y.clamp(0, height - 1) * width + cell_x.clamp(0, width - 1) + first_rows
            shares = (
                share_y * share_x,
                share_x if is_below else -share_x,
                share_y if is_right else -share_y,
            )
            flat = ((share * inside).to(x.dtype).flatten() for share in shares)
            yield _Neighbour(rows.flatten(), *flat)


def _places(x: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Return the row and column of every sampled place in cells, (N, H, W, k * k).

    They are float32 or better: half precision cannot tell neighbouring places apart.
    """
    count, _, height, width = x.shape
    kernel = math.isqrt(offset.shape[1] // 2)
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    moves = offset.to(dtype).view(count, kernel * kernel, 2, height, width)
    moves_y, moves_x = moves.permute(2, 0, 3, 4, 1)

    def steps(length: int) -> Tensor:
        return torch.arange(length, dtype=dtype, device=x.device)

    tap = steps(kernel) - kernel // 2
    place_y = moves_y + steps(height)[:, None, None] + tap.repeat_interleave(kernel)
    place_x = moves_x + steps(width)[:, None] + tap.repeat(kernel)
    # Two cells outside see nothing of the map; further out, integers would overflow.
    return place_y.clamp(-2, height + 1), place_x.clamp(-2, width + 1)


def _keep_for_backward(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.cornerrt.deform_conv2d_backward(grad, *ctx.saved_tensors)


_deform_conv2d.register_autograd(_backward, setup_context=_keep_for_backward)


def _rows_of(values: Tensor) -> Tensor:
    """Return a map (N, C, H, W) as (N * H * W, C), dense in memory."""
    return values.permute(0, 2, 3, 1).reshape(-1, values.shape[1]).contiguous()


def _map_of(rows: Tensor, like: Tensor) -> Tensor:
    """Return (N * H * W, C) as a map with the places of ``like``, contiguous."""
    count, _, height, width = like.shape
    return rows.view(count, height, width, -1).permute(0, 3, 1, 2).contiguous()


def _flat_kernel(weight: Tensor) -> Tensor:
    """Return a kernel (M, C, k, k) as (k * k * C, M), the order of ``_columns``."""
    return weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0])


def _check(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> None:
    out_channels, in_channels, height, width = weight.shape
    places, taps = x.shape[2:], height * width
    expected = {
        "x": (x, (x.shape[0], in_channels, *places)),
        "offset": (offset, (x.shape[0], 2 * taps, *places)),
        "mask": (mask, (x.shape[0], taps, *places)),
        "weight": (weight, (out_channels, in_channels, height | 1, height | 1)),
        "bias": (bias, (out_channels,)),
    }
    for name, (value, shape) in expected.items():
        if tuple(value.shape) != tuple(shape):
            raise ValueError(
                f"deform_conv2d got {name} of shape {tuple(value.shape)}; expected {tuple(shape)}"
            )
