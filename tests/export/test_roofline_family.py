"""Totals of the registry's networks without weights, against torch's counter and the graphs."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.layer_fusion import fuse_layers
from export.roofline_family import measure_family_member
from export.roofline_graph import read_weightless, size_graph
from runtime.errors import UsageError
from tests.export.conftest import CLASS_NAMES, SIZE_HW
from tests.export.test_operation_counts import flops_of


def test_nano_counts_as_its_graph_does(nano_onnx: Path) -> None:
    graph = size_graph(read_weightless(nano_onnx))
    found = measure_family_member("cornernet-nano", SIZE_HW, len(CLASS_NAMES))
    assert found.multiply_adds == fuse_layers(graph).operations.multiply_adds
    convolutions = [node for node in graph.nodes if node.op_type in ("Conv", "ConvTranspose")]
    assert found.weight_elements == sum(graph.tensor(n.input[1]).elements for n in convolutions)
    assert found.frame_bytes == SIZE_HW[0] * SIZE_HW[1] * 3


@pytest.mark.parametrize(
    ("name", "size_hw"),
    [
        ("cornernet-hourglass104", (511, 511)),
        ("cornernet-squeeze", (511, 383)),
        ("cornernet-saccade", (255, 255)),
    ],
)
def test_the_published_networks_count_as_torch_counts(name: str, size_hw: tuple[int, int]) -> None:
    assert 2 * measure_family_member(name, size_hw).multiply_adds == flops_of(name, size_hw)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown model 'cornernet'"):
        measure_family_member("cornernet", (64, 64))
