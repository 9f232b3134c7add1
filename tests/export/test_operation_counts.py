"""Operations of nodes, counted by hand beside, and of whole networks, counted by torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch.utils.flop_counter import FlopCounterMode

from detectors.registry import build_detector
from export.decode_function import CORNER_DECODE, corner_decode_attributes
from export.functions import DOMAIN
from export.layer_fusion import fuse_layers
from export.operation_counts import Operations, count_operations
from export.roofline_graph import SizedGraph, Tensor, read_weightless, size_graph
from export.roofline_subject import subject_from_registry
from runtime.contract import DETECTION_NAMES, MAP_NAMES, DecodeParams
from runtime.errors import ArtifactError
from tests.export.conftest import CLASS_NAMES, SIZE_HW
from tests.export.rooflines import graph_of, one_node, sized
from tests.export.tiny_models import corner_pool_model, make_model


def count(graph: SizedGraph) -> Operations | None:
    (node,) = graph.nodes
    return count_operations(node, graph)


def flops_of(name: str, size_hw: tuple[int, int], num_classes: int = 80) -> int:
    """Count a network's operations with torch, on tensors without numbers."""
    with torch.device("meta"):
        network = build_detector(name, num_classes).eval()
        images = torch.zeros(1, 3, *size_hw)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    return counter.get_total_flops()


def test_a_convolution_with_stride_and_groups() -> None:
    # 10x10, stride 2, padding 1 -> 5x5; 8 outputs, each of 2 of the 4 channels, 3x3
    graph = one_node("Conv", (1, 4, 10, 10), (8, 2, 3, 3), strides=[2, 2], pads=[1] * 4, group=2)
    assert count(graph) == Operations(multiply_adds=8 * 5 * 5 * 2 * 9)


def test_dilation_makes_the_result_smaller_and_nothing_else() -> None:
    # 3x3 with dilation 2 reaches over 5x5: 9x9 -> 5x5
    graph = one_node("Conv", (1, 1, 9, 9), (1, 1, 3, 3), dilations=[2, 2])
    assert count(graph) == Operations(multiply_adds=5 * 5 * 9)


def test_a_transposed_convolution_counts_what_it_spreads() -> None:
    # 6x7 inputs of 4 channels, each into 8 channels of 4x4
    graph = one_node("ConvTranspose", (1, 4, 6, 7), (4, 8, 4, 4), strides=[2, 2], pads=[1] * 4)
    assert count(graph) == Operations(multiply_adds=4 * 6 * 7 * 8 * 16)


def test_a_batch_counts_every_frame() -> None:
    graph = one_node("Conv", (3, 1, 4, 4), (2, 1, 1, 1))
    assert count(graph) == Operations(multiply_adds=3 * 2 * 16)


def test_a_deformable_convolution_interpolates_each_tap_before_it_multiplies() -> None:
    # 2 channels, 3x3 taps, 4x5 places, 6 outputs; bilinear samples of 9 operations
    node = helper.make_node(
        "DeformConv", ["x", "w", "offset"], ["y"], kernel_shape=[3, 3], pads=[1] * 4
    )
    inputs = {"x": (TensorProto.FLOAT, (1, 2, 4, 5)), "offset": (TensorProto.FLOAT, (1, 18, 4, 5))}
    result = {"y": (TensorProto.FLOAT, (1, 6, 4, 5))}
    graph = graph_of(make_model([node], inputs, result, {"w": np.zeros((6, 2, 3, 3), np.float32)}))
    assert count(graph) == Operations(6 * 20 * 2 * 9, 20 * 9 * 2 * 9)


def test_matrix_products() -> None:
    assert count(one_node("MatMul", (5, 7), (7, 11))) == Operations(5 * 11 * 7)
    assert count(one_node("Gemm", (5, 7), (7, 11))) == Operations(5 * 11 * 7)
    assert count(one_node("Gemm", (7, 5), (7, 11), transA=1)) == Operations(5 * 11 * 7)


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        ("Relu", {}, 2 * 6 * 6),
        ("MaxPool", {"kernel_shape": [3, 3], "pads": [1] * 4}, 2 * 6 * 6 * 8),
        ("GlobalAveragePool", {}, 2 * 6 * 6),
        ("Softmax", {}, 3 * 2 * 6 * 6),
        ("Identity", {}, 0),
        ("Transpose", {"perm": [0, 2, 3, 1]}, 0),
        ("Cast", {"to": TensorProto.FLOAT16}, 0),
    ],
)
def test_other_operations(kind: str, attributes: dict[str, object], expected: int) -> None:
    assert count(one_node(kind, (1, 2, 6, 6), **attributes)) == Operations(others=expected)


@pytest.mark.parametrize(("mode", "each"), [("nearest", 0), ("linear", 9), ("cubic", 31)])
def test_resizing(mode: str, each: int) -> None:
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], name="a/b", mode=mode)
    graph = sized(
        make_model(
            [node],
            {"x": (TensorProto.FLOAT, (1, 2, 3, 3))},
            {"y": (TensorProto.FLOAT, (1, 2, 6, 6))},
            {"scales": np.float32([1, 1, 2, 2])},
        )
    )
    assert count(graph) == Operations(others=each * 2 * 6 * 6)


@pytest.mark.parametrize(("direction", "expected"), [("top", 3 * 6 * 4), ("left", 3 * 5 * 5)])
def test_corner_pooling_compares_all_but_the_first_cell_of_each_walk(
    direction: str, expected: int
) -> None:
    # (1, 3, 5, 6): 6 columns of 5 cells, or 5 rows of 6
    graph = sized(corner_pool_model(direction, (1, 3, 5, 6)))
    assert count(graph) == Operations(others=expected)


def test_decoding_looks_at_both_heatmaps_and_all_pairs() -> None:
    params = DecodeParams(top_k=4, nms_kernel=3, ae_threshold=0.5, num_dets=7)
    node = helper.make_node(
        CORNER_DECODE,
        MAP_NAMES,
        DETECTION_NAMES,
        domain=DOMAIN,
        **corner_decode_attributes(params, (4.0, 4.0)),
    )
    channels = {"heat": 2, "tag": 1, "off": 2}
    inputs = {name: (TensorProto.FLOAT, (1, channels[name[3:]], 5, 6)) for name in MAP_NAMES}
    tensors = {name: shape for name, (_, shape) in inputs.items()}
    graph = SizedGraph(
        (node,),
        {name: Tensor(name, shape, TensorProto.FLOAT) for name, shape in tensors.items()},
        frozenset(),
        MAP_NAMES,
        DETECTION_NAMES,
    )
    # 2 maps x 2 classes x 5 x 6 values x (8 comparisons + 4), and 4 x 4 pairs of 12
    assert count(graph) == Operations(others=2 * 2 * 5 * 6 * 12 + 16 * 12)


def test_an_operator_that_is_not_known_is_none() -> None:
    assert count(one_node("Hardmax", (1, 2))) is None


def test_a_size_that_cannot_be_inferred_is_refused() -> None:
    graph = one_node("Relu", (1, 2, "H", 4))
    with pytest.raises(ArtifactError, match="size of tensor 'y' cannot be inferred"):
        count(graph)


def test_operations_add_up() -> None:
    assert Operations(1, 2) + Operations(3, 4) == Operations(4, 6)


def test_nano_counts_as_torch_counts(nano_onnx: Path) -> None:
    graph = size_graph(read_weightless(nano_onnx))
    counted = fuse_layers(graph).operations.multiply_adds
    assert 2 * counted == flops_of("cornernet-nano", SIZE_HW, len(CLASS_NAMES))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["cornernet-squeeze", "cornernet-hourglass104"])
def test_the_published_networks_count_as_torch_counts(name: str) -> None:
    subject = subject_from_registry(name, (511, 511), None)
    counted = fuse_layers(size_graph(subject.graph)).operations
    assert 2 * counted.multiply_adds == flops_of(name, (511, 511))
