"""Reading layers and their number types: program text, inspector, parsed network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from export.engine_report import EngineReport, Layer, read_engine, read_inspector, read_network
from runtime.errors import BuildError
from tests.calibration.tiny_network import make_tiny_network
from tests.fakes.tensorrt_api import FakeTensorRT

TEXT = (
    'tensor={ name="x" type=int8 dims={ 1 16 8 8 } }\n'
    'tensor={ name="w" type=int8 dims={ 16 16 3 3 } }\n'
    'tensor={ name="f" type=float dims={ 1 16 8 8 } }\n'
    '\n  corrltn={ name="conv.1" input={ "x" "w" "f" } output={ "f" } }'
    '\n  corrltn={ name="conv.2" input={ "f" "f" } output={ "f" } }'
    '\n  corrltn={ name="conv.3" input={ "x" "f" } output={ "f" } }'
    '\n  maxpool={ name="p1_conv1/pooling" input={ "x" "x" } output={ "x" } }'
    '\n  runtime_fusion={ name="__myl_CorrAdd" input_args={ "x" "x" } output_args={ "new" } }'
    '\n  region={ name="r" input={ "x" "w" } output={ "f" } }'
    '\n  wait={ name="entry^bb^wait^5" }'
)


def test_kernels_and_their_number_types() -> None:
    report = read_engine(b"\x00\xff binary" + TEXT.encode() + b"\xfe")
    kinds = [layer.kind for layer in report.layers]
    assert kinds == ["corrltn", "corrltn", "corrltn", "maxpool", "runtime_fusion"]
    assert report.layers[0].input_types == ("int8", "int8", "float")
    assert report.layers[0].output_types == ("float",)
    assert report.layers[4].output_types == ("?",)


def test_only_convolutions_count() -> None:
    report = read_engine(TEXT.encode())
    assert report.convolutions("int8") == 2  # the pooling of a tensor named conv is none
    assert report.convolutions("float") == 1
    assert report.convolutions("half") == 0
    assert report.convolution_types() == {"int8": 2, "float": 1, "?": 1}  # features and weights


@pytest.mark.parametrize("engine", [b"", b"\x00" * 100, b'tensor={ name="x" type=int8 }\n'])
def test_an_engine_without_text_is_not_taken_for_an_empty_one(engine: bytes) -> None:
    with pytest.raises(BuildError, match="format changed"):
        read_engine(engine)


def inspected(kind: str, *inputs: dict[str, str], **more: str) -> str:
    record = {"Name": "block.0", "LayerType": kind, "Inputs": inputs, "Outputs": [], **more}
    return json.dumps({"Layers": [record], "Bindings": ["frames"]})


@pytest.mark.parametrize(
    ("tensor", "number_type"),
    [
        ({"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}, "int8"),
        ({"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}, "half"),
        ({"Format/Datatype": "Half"}, "half"),
        ({"Format/Datatype": "Row major linear FP32"}, "float"),
        ({"Format/Datatype": "BFloat16"}, "bf16"),
        ({"Format": "Row major linear", "Datatype": "Half"}, "half"),
        ({"Format": "Row major Int8 vectors", "DataType": "FP32"}, "float"),
        ({"Format/Datatype": "Row major linear UINT8"}, "uint8"),
        ({"Format/Datatype": "Row major linear something"}, "?"),
        ({"Name": "half"}, "?"),
    ],
)
def test_types_in_both_layouts_of_the_inspector(tensor: dict[str, str], number_type: str) -> None:
    (layer,) = read_inspector(inspected("CaskConvolution", tensor)).layers
    assert layer.convolves_in == number_type and layer.input_types == (number_type,)


@pytest.mark.parametrize(
    ("kind", "more", "convolves"),
    [
        ("CaskConvolution", {}, True),
        ("CaskDeconvolution", {}, True),
        ("Cask", {"ParameterType": "Convolution"}, True),
        ("kgen", {"Name": "__myl_CorrAdd"}, True),
        ("Reformat", {}, False),
        ("PluginV3", {}, False),
    ],
)
def test_what_counts_as_a_convolution(kind: str, more: dict[str, str], convolves: bool) -> None:
    (layer,) = read_inspector(inspected(kind, {"Datatype": "Half"}, **more)).layers
    assert (layer.convolves_in is not None) is convolves


def test_the_inspectors_notes_on_onnx_nodes_are_kept() -> None:
    text = inspected("CaskConvolution", {"Datatype": "Half"}, Metadata="[ONNX Layer: a/Conv]")
    assert read_inspector(text).layers[0].name == "block.0 [ONNX Layer: a/Conv]"


@pytest.mark.parametrize(
    "text",
    ["", "null", "{}", "[]", '{"Layers": []}', '{"Layers": ["a"]}', '{"Layers": [{"Name": "a"}]}'],
)
def test_what_proves_nothing_is_refused(text: str) -> None:
    with pytest.raises(BuildError, match="so the precision is not proved"):
        read_inspector(text)


def network_of(model: Any) -> Any:
    api = FakeTensorRT("10.3.0")
    network = api.Builder(None).create_network(2)
    assert api.OnnxParser(network, None).parse(model.SerializeToString())
    return network


def test_the_parsed_network() -> None:
    report = read_network(network_of(make_tiny_network()))
    assert report.convolution_types() == {"float": 11}
    assert {layer.kind for layer in report.layers} > {"CONVOLUTION", "CAST", "RESIZE"}


def test_the_table_counts_by_kind_and_type() -> None:
    layers = (
        Layer("conv", "a", ("int8", "float"), ("float",), "int8"),
        Layer("conv", "b", ("half",), ("half",), "half"),
        Layer("conv", "c", ("half",), ("half",), "half"),
        Layer("constant", "d", (), ("half",)),
    )
    rows = [line.split() for line in EngineReport(layers).table().splitlines()]
    assert rows == [["-", "half", "int8"], ["constant", "1"], ["conv", "2", "1"]]
    assert EngineReport(()).table() == ""
