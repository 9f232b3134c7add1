"""The plugin around decoding: as the full TensorRT's interface meets it, and in TensorRT-RTX."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import ModelProto, TensorProto, helper

from export.decode_function import CORNER_DECODE, corner_decode_attributes
from export.functions import DOMAIN
from export.tensorrt_compiler import Compiler
from export.tensorrt_options import TensorRTOptions
from plugins.library import PluginName, describe_library, load_plugins
from runtime.contract import DETECTION_NAMES, MAP_NAMES, DecodeParams
from runtime.errors import BuildError
from runtime.trt_module import load_tensorrt_rtx
from tests.export.rtx import needs_rtx
from tests.export.tiny_models import make_model
from tests.plugins.built_library import cached_path

PARAMS = DecodeParams(top_k=13, nms_kernel=3, ae_threshold=0.5, num_dets=20, pair_score="geometric")
FIELDS = {
    "top_k": "13",
    "nms_kernel": "3",
    "num_dets": "20",
    "ae_threshold": "0.5f",
    "scale_x": "3.75f",
    "scale_y": "4f",
    "pair_score": "geometric",
}
FLOAT, INT32 = 0, 3  # of DataType, from NvInferRuntimeBase.h

Lines = list[str]


@pytest.fixture(scope="module")
def host(
    plugin_library: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, str]], Lines]:
    """A program that makes the plugin from fields and says what it is like."""
    program = tmp_path_factory.mktemp("host") / "host"
    source = Path(__file__).parent / "decode_host_program.cpp"
    headers = ["-isystem", cached_path("TENSORRT_INCLUDE_DIR")]
    nvcc = [cached_path("CORNERRT_NVCC"), "-cudart", "none", "-std=c++17"]
    subprocess.run([*nvcc, *headers, source, "-o", program, "-ldl"], check=True)

    def run(fields: dict[str, str]) -> Lines:
        command = [program, plugin_library, *(f"{name}={text}" for name, text in fields.items())]
        return subprocess.check_output(command, text=True).splitlines()

    return run


def test_the_library_offers_it(plugin_library: Path) -> None:
    assert PluginName(CORNER_DECODE, "1", DOMAIN) in describe_library(plugin_library).plugins


def test_it_survives_being_written_into_an_engine(host: Callable[..., Lines]) -> None:
    fields = dict(line.split()[1:] for line in host(FIELDS) if line.startswith("field: "))
    assert fields == {name: text.rstrip("f") for name, text in FIELDS.items()}


def test_it_takes_and_gives_linear_floats_and_integer_classes(host: Callable[..., Lines]) -> None:
    (types,) = (line for line in host(FIELDS) if line.startswith("types:"))
    assert [int(text) for text in types.split()[1:]] == [FLOAT] * 8 + [INT32, FLOAT]


def test_it_asks_for_the_workspace_of_the_largest_shape(host: Callable[..., Lines]) -> None:
    kinds, tiles, room = 4, 160, 32  # of two images
    assert f"workspace: {kinds * (tiles * room * 8 + 13 * 20)}" in host(FIELDS)


def test_maps_that_do_not_fit_together_are_refused(host: Callable[..., Lines]) -> None:
    lines = host(FIELDS)
    assert "shape good: 0" in lines
    assert "shape with two embeddings: -1" in lines
    assert "shape of few cells: -1" in lines  # 12, of which 13 are to be kept
    log = "\n".join(line for line in lines if line.startswith("log: "))
    assert "maps that do not fit together (input 2); expected heatmaps (N, C, h, w)" in log
    assert "cannot decode maps of 3 x 4 x 1 cells; expected at least top_k = 13 and" in log


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("top_k", "0", "got top_k 0; expected 1 to 512"),
        ("top_k", "513", "got top_k 513; expected 1 to 512"),
        ("top_k", "13f", "has no attribute top_k; expected an integer"),
        ("num_dets", "170", "got num_dets 170; expected 1 to top_k * top_k = 169"),
        ("nms_kernel", "4", "got nms_kernel 4; expected 1, 3, 5 or 7"),
        ("ae_threshold", "1", "has no attribute ae_threshold; expected a float"),
        ("pair_score", "best", "got pair_score 'best'; expected mean or geometric"),
        ("pair_score", "1", "has no attribute pair_score; expected mean or geometric"),
    ],
)
def test_a_wrong_attribute_is_refused_through_the_logger(
    host: Callable[..., Lines], field: str, text: str, message: str
) -> None:
    (log, refused) = host(FIELDS | {field: text})
    assert refused == "refused"
    assert log.startswith(f"log: CornerDecode node {message}")


@pytest.mark.parametrize("field", FIELDS)
def test_every_attribute_is_needed(host: Callable[..., Lines], field: str) -> None:
    log, refused = host({name: text for name, text in FIELDS.items() if name != field})
    assert refused == "refused"
    assert f"has no attribute {field}; expected" in log


def decode_model(params: DecodeParams = PARAMS, cells: tuple[int, ...] = (16, 12)) -> ModelProto:
    """Return a model of one node without a body, which only the plugin can be."""
    channels = dict(zip(MAP_NAMES, (3, 3, 1, 1, 2, 2), strict=True))
    maps = {n: (TensorProto.FLOAT, ("N", count, *cells)) for n, count in channels.items()}
    count = params.num_dets
    shapes = ([count, 4], [count], [count], [count, 2])
    types = [TensorProto.INT32 if n == "class_ids" else TensorProto.FLOAT for n in DETECTION_NAMES]
    rows = {
        name: (kind, ("N", *shape))
        for name, kind, shape in zip(DETECTION_NAMES, types, shapes, strict=True)
    }
    node = helper.make_node(
        CORNER_DECODE,
        MAP_NAMES,
        DETECTION_NAMES,
        domain=DOMAIN,
        **corner_decode_attributes(params, (4.0, 4.0)),
    )
    model = make_model([node], maps, rows)
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model


def compile_with_plugin(library: Path, model: ModelProto) -> bytes:
    trt = load_tensorrt_rtx()
    compiler = Compiler(trt, TensorRTOptions(compute_capabilities=("8.6",)))
    load_plugins(trt.api, compiler.logger, library)
    return compiler.compile(model).engine


@needs_rtx
def test_tensorrt_rtx_builds_an_engine_of_it(plugin_library: Path) -> None:
    engine = compile_with_plugin(plugin_library, decode_model())
    assert engine[:4] == b"vtrt"
    assert CORNER_DECODE.encode() in engine


@needs_rtx
def test_tensorrt_rtx_refuses_what_the_plugin_refuses(plugin_library: Path) -> None:
    too_many = DecodeParams(600, 3, 0.5, 20)
    with pytest.raises(BuildError, match="ould not create the plugin"):
        compile_with_plugin(plugin_library, decode_model(too_many))


@needs_rtx
@pytest.mark.parametrize(
    ("cells", "message"),
    [((16,), "output shape computation failed"), ((2, 2), "could not build the engine")],
    ids=["three dimensions", "fewer cells than corners"],
)
def test_tensorrt_rtx_refuses_maps_that_cannot_be_decoded(
    plugin_library: Path, cells: tuple[int, ...], message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        compile_with_plugin(plugin_library, decode_model(cells=cells))
