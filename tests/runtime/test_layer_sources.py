"""Which nodes a layer of ONNX Runtime is made of, on graphs as ours are."""

from __future__ import annotations

import pytest

from runtime.layer_sources import find_sources, plain_operator
from runtime.onnx_nodes import OnnxNode, OnnxNodes

# A residual block, and a head whose last convolution ONNX Runtime joins with the decoder's first
# step. Tensors are named after the nodes that make them.
BLOCK = (
    ("a.conv1/Conv", "x a.weight", "a.conv1/Conv"),
    ("a.relu1/Relu", "a.conv1/Conv", "a.relu1/Relu"),
    ("a.conv2/Conv", "a.relu1/Relu", "a.conv2/Conv"),
    ("a/Add", "a.conv2/Conv x", "a/Add"),
    ("a.relu/Relu", "a/Add", "a.relu/Relu"),
    ("head.1/Conv", "a.relu/Relu", "heat"),
    ("decode/Sigmoid", "heat", "decode/Sigmoid"),
)


def model_of(*nodes: tuple[str, str, str]) -> OnnxNodes:
    """Return nodes from names, inputs and outputs; an operator stands at the end of its name."""
    return OnnxNodes(
        tuple(
            OnnxNode(name, name.rpartition("/")[2].split("_")[0], (*ins.split(),), (*outs.split(),))
            for name, ins, outs in nodes
        )
    )


def test_every_node_lies_in_one_layer() -> None:
    layers = [
        ("a.relu1/Relu_nchwc", "Conv"),
        ("a.conv2/Conv_nchwc", "Conv"),
        ("decode/Sigmoid_nchwc", "Conv"),
    ]
    assert find_sources(model_of(*BLOCK), layers) == (
        ("a.conv1/Conv", "a.relu1/Relu"),
        ("a.conv2/Conv", "a/Add", "a.relu/Relu"),
        ("head.1/Conv", "decode/Sigmoid"),
    )


def test_nothing_is_joined_where_every_node_has_its_time() -> None:
    layers = [(name, name.rpartition("/")[2]) for name, _, _ in BLOCK]
    assert find_sources(model_of(*BLOCK), layers) == tuple((name,) for name, _, _ in BLOCK)


def test_a_sum_lies_in_the_layer_that_ran_last_before_it() -> None:
    nodes = (("a/Conv", "x", "a/Conv"), ("b/Conv", "x", "b/Conv"), ("c/Add", "a/Conv b/Conv", "s"))
    layers = [("b/Conv", "Conv"), ("a/Conv", "Conv")]
    assert find_sources(model_of(*nodes), layers) == (("b/Conv",), ("a/Conv", "c/Add"))


@pytest.mark.parametrize(
    "name",
    ["a/Conv", "a/Conv_token_53", "a/Conv_nchwc", "a/Conv/duplicated", "a/Conv/duplicated_token_4"],
)
def test_what_onnx_runtime_appends_is_taken_off(name: str) -> None:
    model = model_of(("a/Conv", "x", "a/Conv"))
    assert find_sources(model, [(name, "QLinearConv")]) == (("a/Conv",),)


def test_a_layer_in_blocked_layout_has_the_name_of_its_tensor() -> None:
    """In a built file a tensor may have the name that another node has."""
    model = model_of(("head.1/Conv", "x", "tl_tag"), ("last/Conv", "tl_tag", "head.1/Conv"))
    layers = [("tl_tag_nchwc", "Conv"), ("head.1/Conv_nchwc", "Conv")]
    assert find_sources(model, layers) == (("head.1/Conv",), ("last/Conv", "head.1/Conv"))
    assert find_sources(model, [("head.1/Conv", "Conv")])[0][0] == "head.1/Conv"


def test_a_node_with_a_layer_of_its_own_is_taken_by_no_other() -> None:
    layers = [("a.conv1/Conv", "Conv"), ("a.relu1/Relu", "Conv")]
    assert find_sources(model_of(*BLOCK[:2]), layers) == (("a.conv1/Conv",), ("a.relu1/Relu",))


def test_the_last_of_the_nodes_that_the_build_fused_is_known_from_the_tensor() -> None:
    model = model_of(("a.conv/QLinearConv", "x", "a.relu/Relu/quantized"))
    assert find_sources(model, [("a.conv/QLinearConv", "QLinearConv")]) == (
        ("a.conv/QLinearConv", "a.relu/Relu"),
    )


def test_nodes_without_a_module_take_that_of_what_they_make() -> None:
    model = model_of(
        ("Gather_3", "a/Relu", "_inlfunc_CornerPool_first"),
        ("Scan_4", "_inlfunc_CornerPool_first", "_inlfunc_CornerPool_last b.pool/CornerPool"),
        ("Squeeze", "b.pool/CornerPool", "scores"),
    )
    layers = [("Gather_3", "Gather"), ("Scan_4", "Scan"), ("Squeeze", "Squeeze")]
    assert find_sources(model, layers) == (("b.pool/CornerPool",),) * 3


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("_inlfunc_CornerDecode_decode/TopK_1", ("decode/TopK_1",)),
        ("_inlfunc_CornerDecode_token_2_decode/TopK", ("decode/TopK",)),
        ("ReorderOutput_token_4", ()),
        ("Scan_129", ()),
    ],
)
def test_what_is_not_in_the_file_has_only_its_own_name(name: str, nodes: tuple[str, ...]) -> None:
    assert find_sources(model_of(*BLOCK), [(name, "Conv")]) == (nodes,)


def test_constants_belong_to_no_layer() -> None:
    model = model_of(("a/Constant", "", "one"), ("a/Conv", "x one", "y"))
    assert find_sources(model, [("a/Conv", "Conv")]) == (("a/Conv",),)


def test_operators_lose_what_quantizing_and_fusing_put_before_them() -> None:
    kinds = ["QLinearConv", "FusedConv", "Conv", "QLinearAdd"]
    assert [plain_operator(kind) for kind in kinds] == ["Conv", "Conv", "Conv", "Add"]
