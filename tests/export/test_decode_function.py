"""The decoder as one node with a body, and as plain nodes again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, NodeProto, helper
from torch import Tensor, nn

from export.decode_function import (
    CORNER_DECODE,
    LARGEST_PLUGIN_WINDOW,
    MOST_PLUGIN_CORNERS,
    corner_decode_attributes,
    decodes_by_plugin,
    inline_corner_decode,
    is_corner_decode,
    outline_corner_decode,
)
from export.functions import DOMAIN
from export.onnx_graph import load_model, module_of
from export.precision import convert_to_fp16
from export.surgery import keep_outputs
from export.tensorrt_options import DecodeForm
from export.torch_export import export_module
from export.wrapper import DeployModule, Normalisation
from plugins.decode_door import DecodeCall
from runtime.contract import DETECTION_NAMES, MAP_NAMES, DecodeParams
from runtime.errors import ExportError
from tests.export.tiny_models import make_model, op_types, run
from tests.plugins.corner_decode_cases import Rows, assert_equal_rows, expected_rows, make_maps
from tests.plugins.cpu_library import ROOT

SIZE_HW = (31, 46)
CALL = DecodeCall((2, 3, 8, 12), 20, 3, 0.5, 60, "geometric", (46 / 12, 31 / 8))
PARAMS = DecodeParams(CALL.top_k, CALL.nms_kernel, CALL.ae_threshold, CALL.num_dets, "geometric")


class MapsOfFrames(nn.Module):
    """A detector of one convolution per map; its maps have 8 x 12 cells."""

    def __init__(self) -> None:
        super().__init__()
        channels = zip(MAP_NAMES, (3, 3, 1, 1, 2, 2), strict=True)
        self.heads = nn.ModuleDict({n: nn.Conv2d(3, count, 4, 4, 2) for n, count in channels})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {name: self.heads[name](images) for name in MAP_NAMES}


def decode_call(model: ModelProto) -> NodeProto:
    (node,) = (node for node in model.graph.node if is_corner_decode(node))
    return node


@pytest.fixture(scope="module")
def small_model() -> bytes:
    """A traced detector that decodes to 60 rows."""
    torch.manual_seed(0)
    normalisation = Normalisation((0.5,) * 3, (0.1,) * 3)
    module = DeployModule(MapsOfFrames(), normalisation, PARAMS).eval()
    return bytes(export_module(module, SIZE_HW).SerializeToString())


@pytest.fixture
def model(small_model: bytes) -> ModelProto:
    return ModelProto.FromString(small_model)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, *SIZE_HW, 3), np.uint8)


def decoder_alone(model: ModelProto) -> ModelProto:
    """Cut a graph down to its decoder: the raw maps become its inputs."""
    graph = model.graph
    maps = {value.name: value for value in graph.output if value.name in MAP_NAMES}
    for node in [n for n in graph.node if not is_corner_decode(n) and module_of(n) != "decode"]:
        graph.node.remove(node)
    del graph.input[:]
    graph.input.extend(maps[name] for name in MAP_NAMES)
    return keep_outputs(model, DETECTION_NAMES)


def test_the_decoder_is_one_node_with_all_a_plugin_reads(model: ModelProto) -> None:
    node = decode_call(model)
    assert list(node.input) == list(MAP_NAMES) and list(node.output) == list(DETECTION_NAMES)
    values = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    assert values.pop("scale_x") == np.float32(46 / 12)
    assert values.pop("scale_y") == np.float32(31 / 8)
    assert values == {
        "top_k": 20,
        "nms_kernel": 3,
        "ae_threshold": 0.5,
        "num_dets": 60,
        "pair_score": b"geometric",
        "plugin_version": b"1",
        "plugin_namespace": DOMAIN.encode(),
    }
    assert [n.name for n in model.graph.node if module_of(n) == "decode"] == [node.name]


def test_no_name_means_one_tensor_outside_the_body_and_another_within(model: ModelProto) -> None:
    (body,) = (function for function in model.functions if function.name == CORNER_DECODE)
    inner = {name for node in body.node for name in [*node.input, *node.output]}
    outer = {name for node in model.graph.node for name in [*node.input, *node.output]}
    outer.update(tensor.name for tensor in model.graph.initializer)
    assert inner.isdisjoint(outer)


@pytest.mark.parametrize("look", ["plain", "ties", "flat"])
@pytest.mark.parametrize("inlined", [False, True])
def test_every_row_equals_the_reference(model: ModelProto, look: str, inlined: bool) -> None:
    """In ONNX Runtime, with equal scores and empty rows in ONNX's order: as the kernels do."""
    decoder = decoder_alone(inline_corner_decode(model) if inlined else model)
    maps = make_maps(CALL, look)
    assert_equal_rows(Rows(*run(decoder, **maps)), expected_rows(CALL, maps))


def test_inlining_gives_the_same_results_as_the_body(model: ModelProto, frames: np.ndarray) -> None:
    want = run(model, frames=frames)
    inlined = inline_corner_decode(model)
    assert "TopK" in op_types(inlined) and not any(map(is_corner_decode, inlined.graph.node))
    assert not inlined.functions
    assert DOMAIN not in {entry.domain for entry in inlined.opset_import}
    for got, expected in zip(run(inlined, frames=frames), want, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_outlining_undoes_inlining(model: ModelProto) -> None:
    call, functions = decode_call(model), list(model.functions)
    constants = sorted(tensor.name for tensor in model.graph.initializer)
    outlined = outline_corner_decode(inline_corner_decode(model), PARAMS, SIZE_HW)
    assert decode_call(outlined) == call and list(outlined.functions) == functions
    assert sorted(tensor.name for tensor in outlined.graph.initializer) == constants


def test_constants_that_others_share_stay_in_the_graph(model: ModelProto) -> None:
    inline_corner_decode(model)
    shared = next(n for n in model.graph.node if n.op_type == "TopK").input[1]
    model.graph.node.append(helper.make_node("Identity", [shared], ["copy"], name="other/Identity"))
    model.graph.output.append(helper.make_tensor_value_info("copy", onnx.TensorProto.INT64, [1]))
    outline_corner_decode(model, PARAMS, SIZE_HW)
    onnx.checker.check_model(model, full_check=True)
    inline_corner_decode(model)
    onnx.checker.check_model(model, full_check=True)


def test_half_precision_leaves_the_decoder_single(model: ModelProto, frames: np.ndarray) -> None:
    keep_outputs(model, DETECTION_NAMES)
    half = convert_to_fp16(model)
    types = {node.output[0]: node for node in half.graph.node}
    assert all(types[name].op_type == "Cast" for name in decode_call(half).input)
    want = run(half, frames=frames)
    for got, expected in zip(run(inline_corner_decode(half), frames=frames), want, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_raw_maps_alone_leave_no_body(model: ModelProto) -> None:
    raw = keep_outputs(model, MAP_NAMES)
    assert not raw.functions and not any(map(is_corner_decode, raw.graph.node))


def test_a_model_without_decoder_is_left_alone() -> None:
    shape = (onnx.TensorProto.FLOAT, (1, 4))
    model = make_model([helper.make_node("Relu", ["x"], ["y"])], {"x": shape}, {"y": shape})
    before = model.SerializeToString()
    assert inline_corner_decode(model).SerializeToString() == before


def test_a_node_without_its_body_is_refused(model: ModelProto) -> None:
    del model.functions[:]
    with pytest.raises(ExportError, match="node without its function body; expected a portable"):
        inline_corner_decode(model)


def test_a_decoder_that_reads_more_than_the_maps_is_refused(model: ModelProto) -> None:
    inline_corner_decode(model)
    node = next(node for node in model.graph.node if node.op_type == "TopK")
    node.input[0] = "frames"
    with pytest.raises(ExportError, match="reads tensor 'frames'; expected the six raw maps"):
        outline_corner_decode(model, PARAMS, SIZE_HW)


def test_maps_of_unknown_size_are_refused(model: ModelProto) -> None:
    inline_corner_decode(model)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "H"
    for value in [*model.graph.value_info, *model.graph.output]:
        if value.name == "tl_heat":
            value.type.tensor_type.shape.dim[2].dim_param = "h"
    with pytest.raises(ExportError, match=r"'tl_heat' has size .*; expected a fixed height"):
        outline_corner_decode(model, PARAMS, SIZE_HW)


def test_attributes_name_every_decode_parameter() -> None:
    params = dataclasses.replace(PARAMS, drop_border=True)
    names = set(corner_decode_attributes(params, (1.0, 1.0)))
    assert set(DecodeParams.__dataclass_fields__) <= names
    # The plugin knows no such field: it appears only where the plugin is not called.
    assert set(corner_decode_attributes(PARAMS, (1.0, 1.0))) == names - {"drop_border"}


@pytest.mark.parametrize(
    ("top_k", "window", "fits"),
    [(512, 7, True), (513, 3, False), (20, 9, False)],
)
def test_the_plugin_decodes_what_its_kernels_are_made_for(
    model: ModelProto, top_k: int, window: int, fits: bool
) -> None:
    for entry in decode_call(model).attribute:
        entry.i = {"top_k": top_k, "nms_kernel": window}.get(entry.name, entry.i)
    assert decodes_by_plugin(model, DecodeForm.AUTO) == fits
    assert not decodes_by_plugin(model, DecodeForm.GRAPH)
    if fits:
        assert decodes_by_plugin(model, DecodeForm.PLUGIN)
    else:
        with pytest.raises(ExportError, match=f"top_k {top_k} and nms_kernel {window}; expected"):
            decodes_by_plugin(model, DecodeForm.PLUGIN)


def test_the_plugin_keeps_the_border(model: ModelProto) -> None:
    decode_call(model).attribute.append(helper.make_attribute("drop_border", 1))
    assert not decodes_by_plugin(model, DecodeForm.AUTO)
    with pytest.raises(ExportError, match=r"drops boxes at the border; expected .* by graph"):
        decodes_by_plugin(model, DecodeForm.PLUGIN)


def test_the_plugins_limits_are_those_of_its_sources() -> None:
    csrc = ROOT / "plugins" / "csrc"
    header = (csrc / "corner_decode_kernel.h").read_text("utf-8")
    assert f"constexpr int kMostCorners = {MOST_PLUGIN_CORNERS};" in header
    kernel = (csrc / "corner_decode_kernel.cu").read_text("utf-8")
    assert f"parameters.nms_kernel <= {LARGEST_PLUGIN_WINDOW} &&" in kernel


def test_no_decoder_is_no_plugins(model: ModelProto) -> None:
    assert not decodes_by_plugin(keep_outputs(model, MAP_NAMES), DecodeForm.AUTO)


def test_an_exported_detector_holds_the_node(nano_onnx: Path) -> None:
    assert decode_call(load_model(nano_onnx)).name == f"decode/{CORNER_DECODE}"
