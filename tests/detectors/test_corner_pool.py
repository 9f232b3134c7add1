"""The torch operator: golden values and gradients, layouts, dtypes, tracing and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from detectors import corner_pool as operator
from detectors.corner_pool import corner_pool
from plugins import reference

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "corner_pool.npz"
LAYOUTS = (torch.contiguous_format, torch.channels_last)
DIRECTIONS = tuple(reference.WALKS)


def golden_cases() -> list[str]:
    with np.load(GOLDEN) as data:
        return sorted({key.split("/")[0] for key in data.files})


def naive_gradient(x: np.ndarray, grad: np.ndarray, direction: str) -> np.ndarray:
    """Walk cell by cell: of equal values, the first one met keeps the gradient."""
    axis, from_end = reference.find_walk(direction)
    x, grad = np.moveaxis(x, axis, -1), np.moveaxis(grad, axis, -1)
    result = np.zeros_like(grad)
    order = range(x.shape[-1])[:: -1 if from_end else 1]
    for line in np.ndindex(x.shape[:-1]):
        winner = order[0]
        for place in order:
            if x[line][place] > x[line][winner]:
                winner = place
            result[line][winner] += grad[line][place]
    return np.moveaxis(result, -1, axis)


def pool_with_gradient(x: Tensor, grad: Tensor, direction: str) -> tuple[Tensor, Tensor]:
    leaf = x.detach().requires_grad_()
    pooled = corner_pool(leaf, direction)
    (x_grad,) = torch.autograd.grad(pooled, leaf, grad)
    return pooled.detach(), x_grad


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", golden_cases())
def test_equals_the_golden_data(case: str, direction: str, layout: torch.memory_format) -> None:
    with np.load(GOLDEN) as data:
        x, grad = (torch.from_numpy(data[f"{case}/{k}"]) for k in ("x", "g"))
        expected, expected_grad = data[f"{case}/{direction}_y"], data[f"{case}/{direction}_gx"]
    pooled, x_grad = pool_with_gradient(x.contiguous(memory_format=layout), grad, direction)
    np.testing.assert_array_equal(pooled.numpy(), expected)
    np.testing.assert_allclose(x_grad.numpy(), expected_grad, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_dtype_matches_the_naive_walk(
    direction: str, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(1)
    # Small integers: many ties, and sums that every dtype holds exactly.
    x = torch.randint(-4, 5, (2, 3, 9, 11), generator=generator).to(dtype, memory_format=layout)
    grad = torch.randint(-2, 3, x.shape, generator=generator).to(dtype)
    before = x.clone()
    pooled, x_grad = pool_with_gradient(x, grad, direction)
    exact_x, exact_grad = x.double().numpy(), grad.double().numpy()
    np.testing.assert_array_equal(
        pooled.double().numpy(), reference.corner_pool(exact_x, direction)
    )
    np.testing.assert_array_equal(
        x_grad.double().numpy(), naive_gradient(exact_x, exact_grad, direction)
    )
    assert (pooled.dtype, x_grad.dtype) == (dtype, dtype)
    assert torch.equal(x, before)


@pytest.mark.parametrize("shape", [(1, 5, 256, 257), (3, 1, 300, 301)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_maps_larger_than_one_part(shape: tuple[int, ...], direction: str) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    assert x.numel() > max(operator.CUMMAX_PART, operator.DOUBLING_PART)
    expected = reference.corner_pool(x.numpy(), direction)
    np.testing.assert_array_equal(corner_pool(x, direction).numpy(), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 6), (6, 1), (9, 11), (8, 16)])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("form", [operator._pool_by_doubling, operator._pool_by_lines])
def test_every_form_serves_every_direction_and_layout(
    form: Callable[[Tensor, Tensor, reference.Walk], None],
    direction: str,
    size: tuple[int, int],
    layout: torch.memory_format,
) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3))
    x = x.contiguous(memory_format=layout)
    result = torch.full_like(x, torch.nan)
    form(result, x, reference.find_walk(direction))
    np.testing.assert_array_equal(result.numpy(), reference.corner_pool(x.numpy(), direction))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (7, 5)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_fastest_form_for_a_layout_changes_no_gradient(
    direction: str, size: tuple[int, int], layout: torch.memory_format
) -> None:
    # In maps of one column, a walk over rows runs through memory; a cut map has odd strides.
    whole = torch.randint(-4, 5, (2, 3, size[0], size[1] + 1)).double()
    x = whole.contiguous(memory_format=layout)[..., :-1]
    grad = torch.randint(-2, 3, x.shape).double()
    pooled, x_grad = pool_with_gradient(x, grad, direction)
    np.testing.assert_array_equal(pooled.numpy(), reference.corner_pool(x.numpy(), direction))
    np.testing.assert_array_equal(
        x_grad.numpy(), naive_gradient(x.numpy(), grad.numpy(), direction)
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_layout_and_strided_views(direction: str) -> None:
    x = torch.randn(2, 4, 6, 10)
    channels_last = corner_pool(x.contiguous(memory_format=torch.channels_last), direction)
    assert channels_last.is_contiguous(memory_format=torch.channels_last)
    view = x[:, 1:3, ::2, 1::3]
    pooled = corner_pool(view, direction)
    assert pooled.is_contiguous()
    np.testing.assert_array_equal(pooled.numpy(), reference.corner_pool(view.numpy(), direction))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_half_precision_gradients_are_summed_in_float32(direction: str) -> None:
    size = (4, 1024) if reference.find_walk(direction).axis == 3 else (1024, 4)
    x = torch.zeros(1, 1, *size, dtype=torch.bfloat16)
    _, x_grad = pool_with_gradient(x, torch.ones_like(x), direction)
    assert x_grad.max().item() == 1024  # adding in bfloat16 would stop at 256


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nan_spreads_forward_and_takes_no_gradient(layout: torch.memory_format) -> None:
    x = torch.tensor([1.0, 2.0, torch.nan, 3.0]).view(1, 1, 1, 4).expand(1, 2, 2, 4)
    x = x.contiguous(memory_format=layout)
    pooled, x_grad = pool_with_gradient(x, torch.ones_like(x), "right")
    np.testing.assert_array_equal(pooled[0, 1, 1].numpy(), [1, 2, np.nan, np.nan])
    assert x_grad[0, 1, 1].tolist() == [1, 3, 0, 0]


@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (1, 2, 3, 0)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_empty_tensor_stays_empty(shape: tuple[int, ...], direction: str) -> None:
    pooled, x_grad = pool_with_gradient(torch.zeros(shape), torch.zeros(shape), direction)
    assert pooled.shape == x_grad.shape == shape


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_obeys_the_rules_of_custom_operators(direction: str, layout: torch.memory_format) -> None:
    x = torch.randn(2, 3, 5, 4).contiguous(memory_format=layout).requires_grad_()
    torch.library.opcheck(torch.ops.cornerrt.corner_pool.default, (x, direction))


def test_survives_export_with_dynamic_sizes() -> None:
    class Pool(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return corner_pool(x, "top") + corner_pool(x, "left")

    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    program = torch.export.export(Pool(), (torch.zeros(2, 3, 8, 6),), dynamic_shapes=(sizes,))
    targets = [str(node.target) for node in program.graph.nodes]
    assert targets.count("cornerrt.corner_pool.default") == 2
    x = torch.randn(4, 3, 5, 7)
    assert torch.equal(program.module()(x), Pool()(x))


def test_refuses_an_unknown_direction() -> None:
    with pytest.raises(ValueError, match=r"'Top'; expected one of top, bottom, left, right"):
        corner_pool(torch.zeros(1, 1, 2, 2), "Top")


@pytest.mark.parametrize(
    "x", [torch.zeros(2, 3, 4), torch.zeros(1, 1, 2, 2, dtype=torch.int32)], ids=["3-D", "int32"]
)
def test_refuses_what_is_not_a_floating_point_map(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected a floating-point tensor \(N, C, H, W\)"):
        corner_pool(x, "top")
