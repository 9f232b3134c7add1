"""The layers of a network that rounds as its INT8 model does; see ``detectors.fake_quantize``."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.int8_plan import ConvolutionScales

# QuantizeLinear saturates at -128; weights use the symmetric range.
LOWEST_ACTIVATION, LOWEST_WEIGHT, HIGHEST = -128, -127, 127


def round_activation(x: Tensor, scale: float) -> Tensor:
    """Round to a grid as QuantizeLinear and DequantizeLinear do.

    Args:
        x: Any shape, float32.
        scale: Step of the grid.
    """
    return torch.fake_quantize_per_tensor_affine(x, scale, 0, LOWEST_ACTIVATION, HIGHEST)


class InputRounding:
    """A hook that rounds what a module reads, and leaves it to other readers as it is.

    Args:
        scale: Step of the grid.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        """Return the rounded input."""
        return (round_activation(inputs[0], self.scale),)


class OutputRounding:
    """A hook that rounds some channels of what a normalisation writes.

    A concatenation that reads rounded values has its normalisation behind it; in the exported
    graph that is folded into the convolutions before it.

    Args:
        scale: Step of the grid.
        channels: Those to round.
    """

    def __init__(self, scale: float, channels: slice) -> None:
        self.scale, self.channels = scale, channels

    def __call__(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        """Return the output with these channels rounded."""
        before, after = output[:, : self.channels.start], output[:, self.channels.stop :]
        rounded = round_activation(output[:, self.channels], self.scale)
        return torch.cat([before, rounded, after], dim=1)


class FrozenBatchNorm(nn.Module):
    """A batch normalisation that keeps its statistics in training; weight and bias learn.

    Args:
        norm: Taken apart: this one has its parameters and statistics, under the same names.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        for name, values in norm.named_buffers():
            self.register_buffer(name, values)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

    @torch.no_grad()
    def factor(self) -> Tensor:
        """Return what folding multiplies each channel's weights with, (C,)."""
        factor = self.weight / torch.sqrt(self.running_var + self.eps)
        # A channel that is switched off is 0 on every grid; the caller divides by the factor.
        return torch.where(factor == 0, 1, factor)


class FakeQuantizedConvolution(nn.Module):
    """A convolution whose input and weights lie on their grids.

    Weights are rounded as they are after the normalisation behind them was folded in, and divided
    by its factor again, so that the normalisation can stay where it is.

    Args:
        convolution: Taken apart: this one has its parameters, under the same names.
        scales: Its grids.
        norm: The normalisation behind it and its first channel that it writes, None if there is
            none.
    """

    weight_scales: Tensor

    def __init__(
        self,
        convolution: nn.Conv2d | nn.ConvTranspose2d,
        scales: ConvolutionScales,
        norm: tuple[FrozenBatchNorm, int] | None,
    ) -> None:
        super().__init__()
        self.weight = convolution.weight
        self.register_parameter("bias", convolution.bias)
        self.input_scale = scales.input
        self.axis = output_axis(convolution)
        self.register_buffer("weight_scales", torch.tensor(scales.weights), persistent=False)
        self._channels = convolution.out_channels
        self._norm = norm  # in a tuple: torch does not take it for a submodule
        self._convolve = _convolve_of(convolution)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W) with rounded weights."""
        x = round_activation(x, self.input_scale)
        return self._convolve(x, self.rounded_weight(), self.bias)

    def rounded_weight(self) -> Tensor:
        """Return the weights that stand for the integers, before folding."""
        factor = self._factor()
        return self._round(self.weight * factor) / factor

    @torch.no_grad()
    def weight_loss(self) -> float:
        """Return the share of the weights' norm that rounding takes away."""
        folded = self.weight * self._factor()
        lost = torch.linalg.vector_norm(self._round(folded) - folded)
        return float(lost / torch.linalg.vector_norm(folded).clamp(min=1e-30))

    def _factor(self) -> Tensor:
        """Return what folding multiplies the weights with, in a shape that fits them."""
        if self._norm is None:
            return self.weight.new_ones(())
        norm, first = self._norm
        shape = [1] * self.weight.dim()
        shape[self.axis] = -1
        return norm.factor()[first : first + self._channels].view(shape)

    def _round(self, folded: Tensor) -> Tensor:
        scales = self.weight_scales
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        if len(scales) == 1:
            return torch.fake_quantize_per_tensor_affine(
                folded, scales, zeros, LOWEST_WEIGHT, HIGHEST
            )
        return torch.fake_quantize_per_channel_affine(
            folded, scales, zeros, self.axis, LOWEST_WEIGHT, HIGHEST
        )


def _convolve_of(convolution: nn.Conv2d | nn.ConvTranspose2d) -> functools.partial[Tensor]:
    """Return a convolution's function of input, weights and bias."""
    names = ["stride", "padding", "dilation", "groups"]
    if isinstance(convolution, nn.ConvTranspose2d):
        names.append("output_padding")
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    function = functional.conv_transpose2d if transposed else functional.conv2d
    return functools.partial(function, **{name: getattr(convolution, name) for name in names})


def output_axis(convolution: nn.Module) -> int:
    """Return the axis of the weights that holds output channels."""
    return 1 if isinstance(convolution, nn.ConvTranspose2d) else 0
