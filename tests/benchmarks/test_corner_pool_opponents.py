"""The opponents compute what our operator computes, gradients included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.corner_pool_opponents import cummax_pool, log_step_pool
from detectors.corner_pool import corner_pool
from plugins import reference

SHAPES = [(2, 3, 5, 4), (1, 1, 1, 7), (1, 2, 8, 1)]


@pytest.mark.parametrize("pool", [cummax_pool, log_step_pool])
@pytest.mark.parametrize("direction", list(reference.WALKS))
@pytest.mark.parametrize("shape", SHAPES)
def test_pooled_values_are_the_references(pool, direction: str, shape: tuple[int, ...]):
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    pooled = pool(torch.from_numpy(values), direction)
    np.testing.assert_array_equal(pooled.numpy(), reference.corner_pool(values, direction))


@pytest.mark.parametrize("pool", [cummax_pool, log_step_pool])
@pytest.mark.parametrize("direction", list(reference.WALKS))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_our_operators(pool, direction: str, layout: torch.memory_format):
    torch.manual_seed(1)
    x = torch.randn(2, 3, 6, 5).contiguous(memory_format=layout).requires_grad_()
    grad = torch.randn_like(x)
    ours, theirs = (
        torch.autograd.grad(form(x, direction), x, grad)[0] for form in (corner_pool, pool)
    )
    torch.testing.assert_close(theirs, ours)


@pytest.mark.parametrize("direction", list(reference.WALKS))
def test_ties_of_the_log_step_form_go_to_the_first_on_the_walk(direction: str):
    x = torch.zeros(1, 1, 3, 3, requires_grad=True)
    ours, theirs = (
        torch.autograd.grad(form(x, direction).sum(), x)[0] for form in (corner_pool, log_step_pool)
    )
    assert torch.equal(theirs, ours) and theirs.max() == 3
