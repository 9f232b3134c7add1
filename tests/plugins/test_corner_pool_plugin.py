"""The CornerPool plugin through the real parser and builder of TensorRT-RTX; needs no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.engine_report import EngineReport, Layer, read_engine
from export.functions import attach_corner_pool
from plugins.library import load_plugins
from runtime.errors import BackendError
from runtime.trt_module import load_tensorrt_rtx
from tests.plugins.plugin_engines import Builder, make_model

try:
    load_tensorrt_rtx()
    MISSING = ""
except BackendError as error:
    MISSING = str(error)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
TYPES = {"fp32": "float", "fp16": "half", "int8": "int8"}
DIRECTIONS = ("top", "bottom", "left", "right")
PLUGIN_KIND = "custom_layer"  # what the compiler calls a plugin


@pytest.fixture(scope="module")
def rtx(plugin_library: Path) -> Builder:
    """TensorRT-RTX with our library loaded."""
    api = load_tensorrt_rtx().api
    builder = Builder(api)
    load_plugins(api, builder.logger, plugin_library)
    return builder


def layers_of(report: EngineReport) -> tuple[Layer, ...]:
    """Return the layers that compute something."""
    return tuple(layer for layer in report.layers if layer.kind != "buffer")


@pytest.mark.parametrize("precision", TYPES)
def test_the_plugin_runs_in_the_type_of_the_graph(rtx: Builder, precision: str) -> None:
    engine = rtx.build(make_model(precision, "left"))
    assert engine, rtx.errors
    report = read_engine(engine)
    (plugin,) = (layer for layer in report.layers if layer.kind == PLUGIN_KIND)
    assert plugin.input_types == plugin.output_types == (TYPES[precision],)
    assert report.convolutions(TYPES[precision]) == 2


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_floats_go_through_without_being_rearranged(rtx: Builder, precision: str) -> None:
    engine = rtx.build(make_model(precision, "top"))
    assert engine, rtx.errors
    kinds = [layer.kind for layer in layers_of(read_engine(engine))]
    middle = kinds.index(PLUGIN_KIND)
    assert kinds[middle - 1] == kinds[middle + 1] == "corrltn"


def test_int8_is_rearranged_once(rtx: Builder) -> None:
    """Quantizing writes the plugin's layout; what follows moves the numbers, and nothing else."""
    engine = rtx.build(make_model("int8", "top"))
    assert engine, rtx.errors
    layers = layers_of(read_engine(engine))
    convolutions = [i for i, layer in enumerate(layers) if layer.kind == "corrltn"]
    between = layers[convolutions[0] + 1 : convolutions[1]]
    assert len(between) == 3
    assert between[1].kind == PLUGIN_KIND
    assert between[2].input_types == between[2].output_types == ("int8",)


def test_the_direction_is_written_into_the_engine(rtx: Builder) -> None:
    engines = {direction: rtx.build(make_model("fp32", direction)) for direction in DIRECTIONS}
    for direction, engine in engines.items():
        assert engine, rtx.errors
        assert b"direction" in engine
        others = [d for d in DIRECTIONS if d != direction]
        # as it was serialized: with its length and final NUL
        assert direction.encode() + b"\0" in engine
        assert len({engines[d] for d in (direction, *others)}) == len(DIRECTIONS)


def test_the_plugin_wins_over_the_function_body(rtx: Builder) -> None:
    engine = rtx.build(attach_corner_pool(make_model("fp16", "bottom")))
    assert engine, rtx.errors
    assert [layer for layer in read_engine(engine).layers if layer.kind == PLUGIN_KIND]


def test_a_wrong_direction_is_refused_with_the_nodes_name(rtx: Builder) -> None:
    assert rtx.build(make_model("fp32", "up")) is None
    (message,) = (text for text in rtx.errors if text.startswith("CornerPool"))
    assert "got direction 'up'; expected top, bottom, left or right" in message


def test_a_tensor_of_three_dimensions_is_refused(rtx: Builder) -> None:
    assert rtx.build(make_model("fp32", "top", (1, 16, 16))) is None
    assert "CornerPool got an input of 3 dimensions; expected 4: (N, C, H, W)" in rtx.errors


@pytest.mark.parametrize("shape", [(1, 32, 1, 16), (2, 32, 16, 1), (1, 32, 3, 1100)])
def test_narrow_and_long_maps_build(rtx: Builder, shape: tuple[int, ...]) -> None:
    assert rtx.build(make_model("fp16", "right", shape)), rtx.errors
