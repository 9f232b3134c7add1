"""Tests of detectors/heads.py."""

from __future__ import annotations

import pytest
import torch

from detectors.heads import HEATMAP_BIAS, POOL_DIRECTIONS, CornerModule, corner_heads
from runtime.contract import MAP_NAMES


def pooled_branch_alone(corner: str, branch: str) -> CornerModule:
    """Return a one-channel module in which only one pooled branch reaches the output."""
    module = CornerModule(1, 1, POOL_DIRECTIONS[corner]).eval()
    for name, parameter in module.named_parameters():
        if parameter.ndim == 4:
            torch.nn.init.zeros_(parameter)
            if name in (f"{branch}.conv.weight", "p_conv1.weight", "conv2.conv.weight"):
                parameter.data[..., 1, 1] = 1
    return module


@pytest.mark.parametrize(
    ("corner", "branch", "rows", "columns"),
    [
        ("tl", "p1_conv1", slice(0, 3), slice(3, 4)),
        ("tl", "p2_conv1", slice(2, 3), slice(0, 4)),
        ("br", "p1_conv1", slice(2, 5), slice(3, 4)),
        ("br", "p2_conv1", slice(2, 3), slice(3, 6)),
    ],
)
def test_a_peak_travels_towards_the_borders_of_its_corner(corner, branch, rows, columns):
    x = torch.zeros(1, 1, 5, 6)
    x[0, 0, 2, 3] = 1
    expected = torch.zeros(5, 6, dtype=torch.bool)
    expected[rows, columns] = True
    assert torch.equal(pooled_branch_alone(corner, branch)(x)[0, 0] > 0.5, expected)


def test_corner_module_keeps_the_shape_and_trains():
    module = CornerModule(6, 4, POOL_DIRECTIONS["tl"])
    out = module(torch.randn(2, 6, 5, 7))
    assert out.shape == (2, 6, 5, 7)
    out.sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_unpooled_input_joins():
    module = CornerModule(1, 1, POOL_DIRECTIONS["tl"]).eval()
    for parameter in module.parameters():
        if parameter.ndim == 4:
            torch.nn.init.zeros_(parameter)
    module.conv1.weight.data.fill_(1)
    module.conv2.conv.weight.data[..., 1, 1] = 1
    x = torch.rand(1, 1, 3, 3)
    torch.testing.assert_close(module(x), x, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kernel", [1, 3])
def test_heads_by_name_with_channels_and_hidden_kernel(kernel):
    heads = corner_heads(num_classes=5, channels=4, kernel=kernel)
    assert set(heads) == set(MAP_NAMES)
    x = torch.randn(2, 4, 3, 7)
    shapes = {name: tuple(head(x).shape) for name, head in heads.items()}
    channels = {"heat": 5, "tag": 1, "off": 2}
    assert shapes == {name: (2, channels[name[3:]], 3, 7) for name in MAP_NAMES}
    assert heads["tl_tag"][0].conv.kernel_size == (kernel, kernel)
    assert heads["tl_tag"][1].kernel_size == (1, 1)


def test_only_heatmaps_start_quiet():
    for name, head in corner_heads(3, 4, 1).items():
        is_quiet = bool((head[-1].bias == HEATMAP_BIAS).all())
        assert is_quiet == name.endswith("heat")
    assert torch.sigmoid(torch.tensor(HEATMAP_BIAS)).item() == pytest.approx(0.1, abs=1e-3)
