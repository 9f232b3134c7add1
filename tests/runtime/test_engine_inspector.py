"""The engine inspector's JSON, in the forms that versions and builds give it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.engine_inspector import InspectedLayer, nodes_in_name, read_inspector
from runtime.errors import BackendError

SENTENCE = "Thirty-two wide channel vectorized row major {} format"


def inspected(*records: Any, **others: Any) -> InspectedLayer:
    """Return the first layer of an engine that the inspector describes so."""
    engine = read_inspector(json.dumps({"Layers": list(records), **others}))
    return next(iter(engine.layers.values()))


def record(**fields: Any) -> dict[str, Any]:
    return {"Name": "x", **fields}


def test_a_detailed_layer_of_tensorrt_10() -> None:
    layer = inspected(
        {
            "Name": "stem.0.conv/Conv + stem.0.relu/Relu",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "a", "Format/Datatype": SENTENCE.format("Int8")}],
            "Outputs": [{"Name": "b", "Format/Datatype": SENTENCE.format("FP16")}],
            "Weights": {"Type": "Int8", "Count": 10},
            "Metadata": "[ONNX Layer: stem.0.conv/Conv]\x1e[ONNX Layer: stem.0.relu/Relu]",
        },
        Bindings=["frames"],
    )
    assert layer == InspectedLayer(
        "stem.0.conv/Conv + stem.0.relu/Relu",
        "CaskConvolution",
        ("stem.0.conv/Conv", "stem.0.relu/Relu"),
        "int8",
    )


def test_a_detailed_layer_of_tensorrt_11() -> None:
    tensor = {"Name": "a", "Format": "Row major linear", "Datatype": "BFloat16"}
    fields = {"LayerType": "kgen", "Inputs": [tensor], "Outputs": [tensor]}
    metadata = "[ONNX Layer: a/Mul]\x1f[ONNX Layer: a/Add]\x1f[ONNX Layer: a/Mul]"
    layer = inspected(record(**fields, Metadata=metadata), **{"I/O Tensors": []})
    assert (layer.kind, layer.nodes, layer.precision) == ("kgen", ("a/Mul", "a/Add"), "bf16")


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("Int8", "int8"),
        ("Half", "fp16"),
        ("Float", "fp32"),
        ("FP8", "fp8"),
        ("BFloat16", "bf16"),
        (SENTENCE.format("FP16"), "fp16"),
        ("Row major linear FP32", "fp32"),
        ("UInt8", ""),
        ("Int32", ""),
        ("Int64", ""),
        ("Bool", ""),
        ("N/A due to dynamic shapes", ""),
    ],
)
@pytest.mark.parametrize("key", ["Format/Datatype", "Datatype", "Data type"])
def test_types_as_tensorrt_writes_them(key: str, text: str, precision: str) -> None:
    assert inspected(record(Inputs=[{key: text}])).precision == precision


@pytest.mark.parametrize(
    ("fields", "precision"),
    [
        ({"Inputs": [{"Datatype": "Int32"}, {"Datatype": "Half"}]}, "fp16"),
        ({"Inputs": [], "Outputs": [{"Datatype": "Float"}]}, "fp32"),
        ({"Inputs": [{"Datatype": "UInt8"}], "Outputs": [{"Datatype": "Half"}]}, "fp16"),
        ({"Inputs": [{"Name": "a"}], "Weights": {"Type": "Half"}}, "fp16"),
        ({"Inputs": None, "Outputs": ["a"], "Weights": None}, ""),
        ({}, ""),
    ],
)
def test_the_first_tensor_of_a_type_we_compute_in_counts(
    fields: dict[str, Any], precision: str
) -> None:
    assert inspected(record(**fields)).precision == precision


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("a.conv/Conv + a.relu/Relu", ("a.conv/Conv", "a.relu/Relu")),
        ("a/Conv || b/Conv", ("a/Conv", "b/Conv")),
        ("PWN(a/Sigmoid, PWN(a/Mul))", ("a/Sigmoid", "a/Mul")),
        ("a.weight + QuantizeLinear_3 + a.conv/Conv", ("a.conv/Conv",)),
        ("{ForeignNode[normalise/Cast...decode/Concat_1]}", ("normalise/Cast", "decode/Concat_1")),
        ("Reformatting CopyNode for Input Tensor 0 to a/Conv + a/Relu", ("a/Conv", "a/Relu")),
        ("(Unnamed Layer* 12) [Shuffle]", ()),
        ("__myl_MulAddCast_myl0_3", ()),
        ("", ()),
    ],
)
def test_names_are_taken_apart_where_nothing_else_tells(name: str, nodes: tuple[str, ...]) -> None:
    assert nodes_in_name(name) == nodes
    assert inspected({"Name": name, "Metadata": None}).nodes == nodes


def test_an_engine_with_names_only() -> None:
    engine = read_inspector('{"Layers": ["a/Conv + b/Relu", "c/Add"], "Bindings": ["frames"]}')
    assert not engine.is_detailed
    assert engine.find("a/Conv + b/Relu").nodes == ("a/Conv", "b/Relu")
    assert engine.find("c/Add") == InspectedLayer("c/Add", "", ("c/Add",), "")


def test_a_layer_is_found_by_the_profilers_name() -> None:
    records = [record(Name="__myl_0", LayerType="kgen", Metadata="[ONNX Layer: a/Mul]")]
    engine = read_inspector(json.dumps({"Layers": records}))
    assert engine.is_detailed
    assert engine.find("__myl_0").nodes == engine.find("__myl_0 [profile 1]").nodes == ("a/Mul",)
    assert engine.find("b/Conv") == InspectedLayer("b/Conv", "", ("b/Conv",), "")


def test_of_two_layers_with_one_name_the_first_counts() -> None:
    assert inspected(record(LayerType="gemm"), record(LayerType="kgen")).kind == "gemm"


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"Layers": [{}]}', '{"Layers": [3]}'])
def test_what_is_no_such_json_is_one_error(text: str) -> None:
    with pytest.raises(BackendError, match=r"engine inspector gave .*expected JSON"):
        read_inspector(text)
