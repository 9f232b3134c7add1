"""The reader of ONNX files against the library itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.errors import ArtifactError
from runtime.onnx_nodes import OnnxNodes, read_onnx_nodes
from tests.builders import write_tiny_artifact


def model_of(nodes: list[onnx.NodeProto], functions: list[onnx.FunctionProto]) -> onnx.ModelProto:
    value = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 300])]
    weights = [numpy_helper.from_array(np.zeros(70_000, np.float32), "weights")]
    graph = helper.make_graph(nodes, "graph", value, [], weights)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ours", 1)]
    return helper.make_model(graph, functions=functions, opset_imports=opsets)


def body(name: str) -> onnx.FunctionProto:
    inner = [
        helper.make_node("Neg", ["a"], ["decode/Neg"]),
        helper.make_node("Clip", ["decode/Neg", "", "a"], ["b"], name="decode/Clip"),
    ]
    return helper.make_function("ours", name, ["a"], ["b"], inner, [helper.make_opsetid("", 18)])


def read(model: onnx.ModelProto, path: Path) -> OnnxNodes:
    onnx.save(model, path)
    return read_onnx_nodes(path)


def test_nodes_are_those_that_the_library_reads(tmp_path: Path) -> None:
    path = write_tiny_artifact(tmp_path / "tiny.onnx")
    expected = onnx.load(path).graph.node
    found = read_onnx_nodes(path).nodes
    assert [n.operator for n in found] == [n.op_type for n in expected]
    assert [n.inputs for n in found] == [tuple(n.input) for n in expected]
    assert [n.outputs for n in found] == [tuple(n.output) for n in expected]
    assert [n.name for n in found][:2] == ["Cast_0", "ReduceMean_1"]


def test_names_attributes_and_missing_inputs(tmp_path: Path) -> None:
    node = helper.make_node("Clip", ["x", "", "weights"], ["y"], name="ä.b/Clip", axis=3, f=0.5)
    model = read(model_of([node], []), tmp_path / "x.onnx")
    assert model.by_name["ä.b/Clip"].inputs == ("x", "", "weights")
    assert model.makers["y"] is model.readers["weights"][0]
    assert "" not in model.readers


def test_a_function_called_once_is_inlined_with_onnx_runtimes_names(tmp_path: Path) -> None:
    call = helper.make_node("Decode", ["x"], ["y"], name="decode/Decode", domain="ours")
    after = helper.make_node("Abs", ["y"], ["z"])
    model = read(model_of([call, after], [body("Decode")]), tmp_path / "x.onnx")
    assert [node.operator for node in model.nodes] == ["Neg", "Clip", "Abs"]
    first, second, _ = model.nodes
    assert first.inputs == ("x",) and first.name == "_inlfunc_Decode_decode/Neg"
    assert second.inputs == ("_inlfunc_Decode_decode/Neg", "", "x")
    assert second.outputs == ("y",)


def test_a_function_called_twice_is_left_out(tmp_path: Path) -> None:
    calls = [helper.make_node("Pool", ["x"], [name], domain="ours") for name in "yz"]
    assert read(model_of(calls, [body("Pool")]), tmp_path / "x.onnx").nodes == ()


@pytest.mark.parametrize("cut", [1, 100, 280_000])
def test_a_file_that_is_cut_short_is_one_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.onnx"
    onnx.save(model_of([helper.make_node("Abs", ["x"], ["y"])], []), path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ArtifactError, match=r"x\.onnx is not a complete ONNX .*make engine"):
        read_onnx_nodes(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"not a model", b"\x0a\x00"])
def test_a_file_that_is_no_model_is_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="not a complete ONNX file"):
        read_onnx_nodes(path)
