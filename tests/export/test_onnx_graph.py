"""Tests of the lookups, sorting, reading and writing that passes build on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from export.onnx_graph import (
    GraphIndex,
    add_initializer,
    attribute,
    load_model,
    module_of,
    save_model,
    sort_nodes,
    tensor_types,
)
from runtime.errors import ArtifactError, ExportError
from tests.export.tiny_models import corner_pool_model, make_model, op_types, run

KIND = (TensorProto.FLOAT, (2, 3))


def chain_model(order: tuple[int, ...] = (0, 1, 2)) -> onnx.ModelProto:
    """Return x -> Relu -> Mul(constant) -> Add(x), nodes stored in ``order``."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="block.relu/Relu"),
        helper.make_node("Mul", ["a", "two"], ["b"], name="Mul"),
        helper.make_node("Add", ["b", "x"], ["y"], name="block/Add"),
    ]
    two = {"two": np.array(2.0, np.float32)}
    return make_model([nodes[i] for i in order], {"x": KIND}, {"y": KIND}, two)


def test_index_knows_makers_readers_and_constants() -> None:
    index = GraphIndex.of(chain_model().graph)
    assert index.producers["b"].op_type == "Mul"
    assert [node.op_type for node in index.consumers["x"]] == ["Relu", "Add"]
    assert index.constant("two") == 2.0
    assert index.constant("a") is None


def test_only_consumer_is_none_for_shared_tensors_and_outputs() -> None:
    index = GraphIndex.of(chain_model().graph)
    assert index.only_consumer("a").op_type == "Mul"
    assert index.only_consumer("x") is None
    assert index.only_consumer("y") is None


def test_module_of_reads_the_path_from_the_name() -> None:
    names = [module_of(node) for node in chain_model().graph.node]
    assert names == ["block.relu", "", "block"]
    added = helper.make_node("Cast", ["x"], ["y"], name="block.relu/Relu/half/Cast")
    assert module_of(added) == "block.relu"


def test_attribute_falls_back_to_its_default() -> None:
    node = helper.make_node("Concat", ["a"], ["b"], axis=1)
    assert attribute(node, "axis") == 1
    assert attribute(node, "other", 7) == 7


def test_add_initializer_refuses_a_taken_name() -> None:
    model = chain_model()
    assert add_initializer(model, "three", np.array(3.0)) == "three"
    with pytest.raises(ExportError, match="'two' exists already"):
        add_initializer(model, "two", np.array(3.0))


def test_tensor_types_reach_through_the_custom_function() -> None:
    types = tensor_types(corner_pool_model("top", ("N", 2, 3, 4), TensorProto.FLOAT16))
    assert types["y"].elem_type == TensorProto.FLOAT16
    assert types["y"].shape == ("N", 2, 3, 4)


def test_tensor_types_know_constants_of_any_size() -> None:
    big = np.zeros((20, 20), np.int8)
    node = helper.make_node("Identity", ["big"], ["y"])
    model = make_model([node], {}, {"y": (TensorProto.INT8, (20, 20))}, {"big": big})
    assert tensor_types(model)["big"].elem_type == TensorProto.INT8
    assert len(model.graph.initializer) == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_sort_nodes_puts_makers_first(order: tuple[int, ...]) -> None:
    model = sort_nodes(chain_model(order))
    assert op_types(model) == ["Relu", "Mul", "Add"]
    x = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
    np.testing.assert_array_equal(run(model, x=x)[0], 2 * np.maximum(x, 0) + x)


def test_sort_nodes_refuses_a_cycle() -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    with pytest.raises(ExportError, match="depends on itself"):
        sort_nodes(make_model(nodes, {"x": KIND}, {"a": KIND}))


def test_saved_model_comes_back(tmp_path: Path) -> None:
    path = save_model(chain_model(), tmp_path / "new" / "model.onnx")
    assert load_model(path) == chain_model()


def test_invalid_graph_is_not_written(tmp_path: Path) -> None:
    model = chain_model()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ExportError, match="not valid ONNX"):
        save_model(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_unwritable_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot write"):
        save_model(chain_model(), tmp_path / "file" / "model.onnx")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no file at"):
        load_model(tmp_path / "model.onnx")


@pytest.mark.parametrize("keep", [0, 1, 40, -10])
def test_cut_short_file_is_an_error(tmp_path: Path, keep: int) -> None:
    path = save_model(chain_model(), tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match="not a complete ONNX model"):
        load_model(path)
