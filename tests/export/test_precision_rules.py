"""Every rule that keeps a node in single precision, on both sides of its border."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from export.decode_function import inline_corner_decode
from export.onnx_graph import GraphIndex, load_model
from export.precision import BF16, FP16
from export.precision_rules import (
    FLOAT_RULES,
    Surroundings,
    count_line,
    explain,
    kept_nodes,
    note_float_convolutions,
    noted_float_convolutions,
    rule_of,
)
from tests.export.tiny_models import make_model

MAP = (TensorProto.FLOAT, (1, 2, 4, 4))


def around(**constants: object) -> Surroundings:
    index = GraphIndex()
    for name, value in constants.items():
        index.initializers[name] = numpy_helper.from_array(np.asarray(value), name)
    return Surroundings(index)


def node(op: str, name: str, *inputs: str, domain: str = "") -> NodeProto:
    return helper.make_node(op, inputs or ["x"], ["y"], name=name, domain=domain)


@pytest.mark.parametrize(
    ("kept", "free", "rule"),
    [
        (node("Mul", "normalise/Mul"), node("Mul", "normaliser/Mul"), "normalise"),
        (node("TopK", "TopK"), node("Gather", "Gather"), "top-k"),
        (
            node("CornerDecode", "decode/CornerDecode", domain="cornerrt"),
            node("CornerPool", "pool/CornerPool", domain="cornerrt"),
            "corner-decode",
        ),
        (node("Sigmoid", "decode/Sigmoid"), node("Sigmoid", "gate/Sigmoid"), "peaks"),
        (node("MaxPool", "decode.nms/MaxPool"), node("MaxPool", "pre/MaxPool"), "peaks"),
        (node("Add", "decode/Add"), node("Add", "decode_head/Add"), "decode"),
    ],
)
def test_rules_about_names_and_operators(kept: NodeProto, free: NodeProto, rule: str) -> None:
    found = rule_of(around(), kept)
    assert found is not None and found.name == rule
    assert rule_of(around(), free) is None


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.float32(65504), False),
        (np.float32(65505), True),
        (np.float32([1, -7e4]), True),
        (np.float32("inf"), False),  # half has it
        (np.int64(70000), False),
        (np.zeros((0,), np.float32), False),
    ],
)
def test_the_rule_about_constants(value: np.ndarray, kept: bool) -> None:
    found = rule_of(around(w=value), node("Mul", "m/Mul", "x", "w"))
    assert (found is not None and found.name == "range") is kept


def test_bf16_holds_what_half_does_not() -> None:
    wide = Surroundings(around(w=np.float32(1e38)).index, BF16.largest)
    assert rule_of(wide, node("Mul", "m/Mul", "x", "w")) is None
    assert FP16.largest < 1e38


def test_every_rule_has_its_own_name_and_a_reason() -> None:
    assert len({rule.name for rule in FLOAT_RULES}) == len(FLOAT_RULES)
    assert all(rule.reason for rule in FLOAT_RULES)


def test_only_nodes_with_float_tensors_are_listed() -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"], name="decode/Sigmoid"),
        helper.make_node("Cast", ["s"], ["i"], name="decode/Cast", to=TensorProto.INT64),
        helper.make_node("Neg", ["i"], ["y"], name="decode/Neg"),
        helper.make_node("Relu", ["x"], ["z"], name="m/Relu"),
    ]
    model = make_model(nodes, {"x": MAP}, {"y": (TensorProto.INT64, MAP[1]), "z": MAP})
    kept = kept_nodes(model)
    assert [(k.node, k.rule) for k in kept] == [
        ("decode/Sigmoid", "peaks"),
        ("decode/Cast", "decode"),
    ]
    assert count_line(kept) == "2 nodes stay FP32 (peaks 1, decode 1)"
    assert explain(kept).splitlines()[0].startswith("FP32  decode/Sigmoid  peaks: near 1")


def test_a_graph_without_exceptions() -> None:
    relu = helper.make_node("Relu", ["x"], ["y"], name="m/Relu")
    kept = kept_nodes(make_model([relu], {"x": MAP}, {"y": MAP}))
    assert kept == () and explain(kept) == ""
    assert count_line(kept) == "no node stays FP32"


def test_nano_keeps_its_borders(nano_onnx: Path) -> None:
    rules = {kept.rule for kept in kept_nodes(inline_corner_decode(load_model(nano_onnx)))}
    assert rules == {"normalise", "top-k", "peaks", "decode"}
    assert {kept.rule for kept in kept_nodes(load_model(nano_onnx))} >= {"normalise"}


def test_the_note_about_convolutions_survives_a_file(tmp_path: Path) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"], name="m/Relu")
    model = make_model([relu], {"x": MAP}, {"y": MAP})
    assert noted_float_convolutions(model) == {}
    model.metadata_props.add(key="other", value="kept")
    note_float_convolutions(model, {"stem/Conv": "stem"})
    note_float_convolutions(model, {"stem/Conv": "stem", "head/Conv": "last"})
    read = type(model).FromString(model.SerializeToString())
    assert noted_float_convolutions(read) == {"stem/Conv": "stem", "head/Conv": "last"}
    assert len(read.metadata_props) == 2
