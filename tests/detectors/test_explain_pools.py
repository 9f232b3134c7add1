"""Watching a network: what is recorded, and which channel is shown."""

from __future__ import annotations

import pytest
import torch

from detectors.corner_pool import corner_pool
from detectors.explain_pools import choose_channel, view_pools, watch
from detectors.registry import build_detector
from tests.detectors.explained import Peak, pairing_of


@pytest.fixture(name="network", scope="module")
def tiny_network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_detector("cornernet-nano", 3).eval()


def test_maps_and_pools_are_recorded(network: torch.nn.Module) -> None:
    with torch.inference_mode(), watch(network) as seen:
        maps = network(torch.randn(2, 3, 64, 96))
    assert torch.equal(seen.maps["br_off"], maps["br_off"][:1])
    assert set(seen.pools) == {"top", "left", "bottom", "right"}
    for direction, (before, after) in seen.pools.items():
        assert before.shape == (32, 16, 24)
        assert torch.equal(corner_pool(before[None], direction)[0], after)


def test_the_network_is_left_as_it_was(network: torch.nn.Module) -> None:
    with pytest.raises(RuntimeError), watch(network):
        network(torch.zeros(1, 1, 8, 8))
    assert not any(module._forward_hooks for module in network.modules())


def test_views_come_in_order_with_their_corner(network: torch.nn.Module) -> None:
    with torch.inference_mode(), watch(network) as seen:
        network(torch.randn(1, 3, 64, 64))
    corners = pairing_of(Peak("tl", 4, 5, 0, 0.9, 0.0), Peak("br", 9, 9, 0, 0.9, 0.0))
    views = view_pools(seen, [corners.top_left[0], corners.bottom_right[0]])
    assert [(view.direction, view.kind) for view in views] == [
        ("top", "tl"),
        ("left", "tl"),
        ("bottom", "br"),
        ("right", "br"),
    ]
    assert all(view.before.shape == view.after.shape == (16, 16) for view in views)
    assert {view.channels for view in views} == {32}


def test_the_channel_that_stands_out_at_the_corners_is_chosen() -> None:
    pooled = torch.zeros(4, 6, 6)
    pooled[0] = 9.0  # large everywhere
    pooled[1, 2, 3] = 1.0
    pooled[2, 5, 5] = 5.0  # large elsewhere
    pooled[3, 2, 3] = 1.0
    pooled[3, 4] = 1.0  # as large, but in other places too
    assert choose_channel(pooled, [(3, 2)]) == 1
    assert choose_channel(pooled, []) == 2


def test_a_constant_map_has_a_channel_too() -> None:
    assert choose_channel(torch.ones(3, 4, 4), [(0, 0)]) == 0
