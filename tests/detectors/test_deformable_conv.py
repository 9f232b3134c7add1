"""Deformable convolution against plain convolutions, ``grid_sample`` and arithmetic by hand."""

from __future__ import annotations

import math

import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor
from torch.nn import functional

from detectors.deformable_conv import DeformableConv, deform_conv2d

Operands = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def operands(
    kernel: int = 3, dtype: torch.dtype = torch.float64, spread: float = 1.5, seed: int = 0
) -> Operands:
    """Draw x, offset, mask, weight and bias for a map of 5 by 7 cells; places leave the map."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)

    taps = kernel * kernel
    return (
        draw(2, 3, 5, 7),
        spread * draw(2, 2 * taps, 5, 7),
        draw(2, taps, 5, 7).sigmoid(),
        draw(4, 3, kernel, kernel),
        draw(4),
    )


def by_grid_sample(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute the same one tap at a time, with torch's own interpolation."""
    kernel, (height, width) = weight.shape[2], x.shape[2:]
    rows = torch.arange(height, dtype=x.dtype)[:, None]
    columns = torch.arange(width, dtype=x.dtype)
    result = bias[:, None, None].expand(x.shape[0], -1, height, width)
    for tap in range(kernel * kernel):
        down, right = divmod(tap, kernel)
        y = rows + down - kernel // 2 + offset[:, 2 * tap]
        column = columns + right - kernel // 2 + offset[:, 2 * tap + 1]
        grid = torch.stack((2 * column / (width - 1) - 1, 2 * y / (height - 1) - 1), dim=3)
        sampled = functional.grid_sample(x, grid, align_corners=True) * mask[:, tap : tap + 1]
        result = result + torch.einsum("nchw,mc->nmhw", sampled, weight[:, :, down, right])
    return result


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("spread", [0.2, 1.5, 20.0])
def test_equals_interpolation_tap_by_tap(kernel: int, spread: float) -> None:
    drawn = operands(kernel, spread=spread)
    torch.testing.assert_close(deform_conv2d(*drawn), by_grid_sample(*drawn))


@pytest.mark.parametrize("kernel", [1, 3])
def test_equals_the_onnx_operator(kernel: int) -> None:
    drawn = dict(zip("xomwb", operands(kernel, torch.float32), strict=True))
    node = helper.make_node(
        "DeformConv", list("xwobm"), ["y"], kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4
    )
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xwobmy"
    }
    graph = helper.make_graph([node], "one", [values[n] for n in "xwobm"], [values["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    (want,) = ReferenceEvaluator(model).run(None, {n: v.numpy() for n, v in drawn.items()})
    torch.testing.assert_close(
        deform_conv2d(*drawn.values()), torch.from_numpy(want), rtol=0, atol=1e-5
    )


def test_without_offsets_and_masks_it_is_a_convolution() -> None:
    x, offset, mask, weight, bias = operands()
    got = deform_conv2d(x, 0 * offset, torch.ones_like(mask), weight, bias)
    torch.testing.assert_close(got, functional.conv2d(x, weight, bias, padding=1))


def test_offsets_are_down_then_right_for_each_tap() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)
    offset, mask = torch.zeros(1, 18, 3, 4), torch.zeros(1, 9, 3, 4)
    mask[:, 4] = 1  # the middle tap alone
    offset[:, 8], offset[:, 9] = 1, 0.5
    got = deform_conv2d(x, offset, mask, torch.ones(1, 1, 3, 3), torch.zeros(1))
    # One row down, between two columns; right of the last column is zero, and so is the row below.
    assert got.flatten().tolist() == [4.5, 5.5, 6.5, 3.5, 8.5, 9.5, 10.5, 5.5, 0, 0, 0, 0]


@pytest.mark.parametrize("far", [1e9, -1e9, math.inf, -math.inf])
def test_places_far_outside_see_zero(far: float) -> None:
    x, offset, mask, weight, bias = operands()
    got = deform_conv2d(x, torch.full_like(offset, far), mask, weight, bias)
    torch.testing.assert_close(got, bias[:, None, None].expand_as(got))


def test_a_place_that_is_no_number_spoils_its_own_cell_only() -> None:
    x, offset, mask, weight, bias = operands()
    expected = deform_conv2d(x, offset, mask, weight, bias)
    offset[0, 5, 2, 3] = math.nan
    got = deform_conv2d(x, offset, mask, weight, bias)
    assert got[0, :, 2, 3].isnan().all()
    got[0, :, 2, 3] = expected[0, :, 2, 3]
    assert torch.equal(got, expected)


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences() -> None:
    drawn = tuple(value.requires_grad_() for value in operands())
    assert torch.autograd.gradcheck(deform_conv2d, drawn)


def test_gradients_equal_those_of_interpolation_tap_by_tap() -> None:
    # Far outside the map, too, where finite differences of nothing would prove little.
    drawn = tuple(value.requires_grad_() for value in operands(spread=6.0))
    seed = torch.randn(2, 4, 5, 7, dtype=torch.float64)
    got = torch.autograd.grad(deform_conv2d(*drawn), drawn, seed)
    want = torch.autograd.grad(by_grid_sample(*drawn), drawn, seed)
    for name, one, other in zip(("x", "offset", "mask", "weight", "bias"), got, want, strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_operator_keeps_the_rules_of_torch() -> None:
    drawn = tuple(value.requires_grad_() for value in operands())
    torch.library.opcheck(torch.ops.cornerrt.deform_conv2d.default, drawn)


def test_half_precision_keeps_its_places_exact() -> None:
    random = torch.Generator().manual_seed(1)
    x = torch.randn((1, 2, 3, 600), generator=random)
    offset = torch.zeros(1, 2, 3, 600)
    offset[:, 1] = 0.25  # float16 has no 599.25
    ones = torch.ones(1, 1, 3, 600)
    whole = (x, offset, ones, torch.ones(1, 2, 1, 1), torch.zeros(1))
    got = deform_conv2d(*(value.half() for value in whole))
    assert got.dtype == torch.float16
    torch.testing.assert_close(got.float(), deform_conv2d(*whole), rtol=0, atol=5e-3)


def test_memory_layout_does_not_matter() -> None:
    x, *others = operands()
    laid_out = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(deform_conv2d(laid_out, *others), deform_conv2d(x, *others))


@pytest.mark.parametrize(
    ("index", "shape", "message"),
    [
        (0, (2, 5, 5, 7), r"got x of shape \(2, 5, 5, 7\); expected \(2, 3, 5, 7\)"),
        (1, (2, 9, 5, 7), r"got offset of shape \(2, 9, 5, 7\); expected \(2, 18, 5, 7\)"),
        (2, (1, 9, 5, 7), r"got mask of shape \(1, 9, 5, 7\); expected \(2, 9, 5, 7\)"),
        (3, (4, 3, 3, 5), "got offset"),
        (4, (3,), r"got bias of shape \(3,\); expected \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    index: int, shape: tuple[int, ...], message: str
) -> None:
    drawn = list(operands())
    drawn[index] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        deform_conv2d(*drawn)


def test_even_kernels_are_refused() -> None:
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"got weight .*; expected \(1, 1, 3, 3\)"):
        deform_conv2d(
            x,
            torch.zeros(1, 8, 4, 4),
            x.expand(1, 4, 4, 4),
            torch.zeros(1, 1, 2, 2),
            x[0, 0, 0, :1],
        )


def test_module_predicts_its_own_offsets_and_masks() -> None:
    torch.manual_seed(0)
    module = DeformableConv(3, 4).double()
    torch.nn.init.normal_(module.conv_offset_mask.weight)
    x = operands()[0]
    predicted = module.conv_offset_mask(x)
    want = by_grid_sample(
        x, predicted[:, :18], predicted[:, 18:].sigmoid(), module.weight, module.bias
    )
    torch.testing.assert_close(module(x), want)


def test_fresh_module_is_a_convolution_of_half_the_strength() -> None:
    module, x = DeformableConv(3, 4), torch.randn(1, 3, 5, 6)
    want = functional.conv2d(x, module.weight, padding=1) / 2
    torch.testing.assert_close(module(x), want)
    assert set(module.state_dict()) == {
        *("weight", "bias", "conv_offset_mask.weight", "conv_offset_mask.bias"),
    }
