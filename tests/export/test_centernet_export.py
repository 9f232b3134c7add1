"""A CenterNet on its way to an artifact: its own maps, decoder and outputs, the same door."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto

from calibration.calibrate import CalibrationOptions, calibrate
from detectors.centernet_heads import CENTER_MAP_NAMES
from detectors.checkpoints import save_checkpoint
from detectors.registry import build_detector, find_spec
from export import compare, export_onnx, verify
from export.build_engine import main as build_engine
from export.builder_tensorrt import build_tensorrt
from export.detector_source import DetectorSource, load_detector
from export.export_onnx import ExportRequest, GraphOutputs, deploy_module
from export.onnx_graph import load_model, module_of, save_model
from export.precision import convert_to_bf16, convert_to_fp16
from export.precision_rules import kept_nodes
from export.roofline_graph import size_graph, without_weights
from export.surgery import keep_outputs
from export.tensorrt_options import PluginUse, TensorRTOptions
from runtime.backends import open_backend
from runtime.contract import BOX_NAMES, CenterDecodeParams, TensorSpec, read_contract
from runtime.image_batches import find_images
from tests.calibration.tiny_network import write_images
from tests.detectors.deterministic_weights import build_filled
from tests.export.conftest import CLASS_NAMES, SIZE_HW
from tests.export.rtx import needs_rtx
from tests.export.tiny_models import run

NAME = "centernet-nano"
# Its exports take longer than all else here; what is special in each step has quick tests.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of nano that give many detections."""
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    network = build_filled(lambda: build_detector(NAME, len(CLASS_NAMES)))
    torch.nn.init.constant_(network.heads["wh"][-1].bias, 4.0)  # or boxes would have no extent
    save_checkpoint(network, path, {"class_names": json.dumps(CLASS_NAMES)})
    return path


@pytest.fixture(scope="module")
def graph(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nano as a portable single-precision file that gives its maps too; do not change it."""
    path = tmp_path_factory.mktemp("onnx") / "nano.onnx"
    outputs = GraphOutputs.DETECTIONS_AND_MAPS
    request = ExportRequest(DetectorSource(NAME, weights), SIZE_HW, outputs=outputs)
    export_onnx.export_onnx(request, path)
    return path


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, *SIZE_HW, 3), np.uint8)


def outputs_of(model: ModelProto, batch: np.ndarray) -> dict[str, np.ndarray]:
    names = [value.name for value in model.graph.output]
    return dict(zip(names, run(model, frames=batch), strict=True))


def test_the_contract_tells_the_family_its_decoder_and_its_outputs(graph: Path) -> None:
    contract = read_contract(graph)
    assert (contract.name, contract.family) == (NAME, "centernet")
    assert contract.decode == CenterDecodeParams(100, 3)
    boxes, scores, class_ids, *maps = contract.outputs
    assert boxes == TensorSpec("boxes", "float32", ("N", 100, 4))
    assert scores == TensorSpec("scores", "float32", ("N", 100))
    assert class_ids == TensorSpec("class_ids", "int32", ("N", 100))
    assert [spec.name for spec in maps] == list(CENTER_MAP_NAMES)
    assert maps[0].shape == ("N", len(CLASS_NAMES), SIZE_HW[0] // 4, SIZE_HW[1] // 4)


def test_the_decoder_is_plain_nodes_of_its_own_module(graph: Path) -> None:
    model = load_model(graph)
    assert not model.functions
    assert {entry.domain for entry in model.opset_import} == {""}
    operators = {n.op_type for n in model.graph.node if module_of(n) == "decode"}
    assert {"Sigmoid", "MaxPool", "TopK"} <= operators


@pytest.mark.parametrize("batch", [1, 3])
def test_the_graph_gives_what_torch_gives(graph: Path, weights: Path, batch: int) -> None:
    module = deploy_module(load_detector(DetectorSource(NAME, weights)), NAME)
    with torch.inference_mode():
        values = module(torch.from_numpy(frames(batch)))
    wanted = dict(zip(module.output_names, values, strict=True))
    assert tuple(wanted) == (*BOX_NAMES, *CENTER_MAP_NAMES)
    found = outputs_of(load_model(graph), frames(batch))
    assert (found["scores"] > 0.05).any()
    for name in CENTER_MAP_NAMES:
        largest = wanted[name].abs().max().item()
        np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-4 * largest)
    np.testing.assert_allclose(found["scores"], wanted["scores"], atol=1e-4)


def test_sizes_at_another_input_can_be_told(graph: Path) -> None:
    sized = size_graph(without_weights(load_model(graph)), (128, 160))
    assert sized.tensor("hm").shape == (1, len(CLASS_NAMES), 32, 40)
    assert sized.tensor("boxes").shape == (1, 100, 4)
    outputs = {value.name for value in load_model(graph).graph.output}
    assert all(sized.tensor(name).shape[0] == 1 for name in outputs)


def test_verify_and_compare_agree_with_torch(
    graph: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "images", 2)
    known = ["--weights", str(weights)]
    assert compare.main(["--onnx", str(graph), *known]) == 0
    words = ["--model", NAME, "--artifacts", str(graph), "--images", str(images)]
    assert verify.main([*words, *known]) == 0
    told = capsys.readouterr().out
    assert "1 agree, 0 differ" in told and told.count("\nhm ") == 2 and "corner" not in told


@pytest.mark.parametrize("convert", [convert_to_fp16, convert_to_bf16])
def test_the_decoder_stays_single_in_every_precision(
    graph: Path, convert: Callable[[ModelProto], ModelProto]
) -> None:
    model = convert(load_model(graph))
    kept = {node.node: node.rule for node in kept_nodes(model)}
    rules = {rule for node, rule in kept.items() if node.startswith("decode/")}
    assert rules == {"peaks", "top-k", "decode"}
    outside = {node.split("/")[0] for node in kept}
    assert outside == {"decode", "normalise"}


def test_half_precision_gives_the_same_maps(graph: Path) -> None:
    exact = outputs_of(load_model(graph), frames(1))
    half = outputs_of(convert_to_fp16(load_model(graph)), frames(1))
    for name in CENTER_MAP_NAMES:
        largest = np.abs(exact[name]).max()
        np.testing.assert_allclose(half[name], exact[name], rtol=0, atol=0.02 * largest)


def test_the_raw_graph_ends_at_the_three_maps(graph: Path) -> None:
    names = GraphOutputs.RAW_MAPS.names(find_spec(NAME))
    assert names == CENTER_MAP_NAMES
    assert GraphOutputs.DETECTIONS.names(find_spec(NAME)) == BOX_NAMES
    raw = keep_outputs(load_model(graph), names)
    assert not [n for n in raw.graph.node if module_of(n) == "decode"]


def test_int8_runs_in_a_backend_and_gives_no_corner_scores(graph: Path, tmp_path: Path) -> None:
    images = find_images(str(write_images(tmp_path / "images", 3)), SIZE_HW, 3)
    quantized, built = tmp_path / "int8.onnx", tmp_path / "int8.onnxruntime.onnx"
    calibrate(graph, images, quantized, CalibrationOptions())
    assert not [
        node.name
        for node in load_model(quantized).graph.node
        if module_of(node) == "decode" and "QuantizeLinear" in node.op_type
    ]
    words = ["--onnx", str(quantized), "--out", str(built), "--target", "onnxruntime"]
    assert build_engine(words) == 0
    backend = open_backend(built, "onnxruntime", threads=1)
    outputs = backend.infer(frames(1))
    backend.close()
    assert set(outputs) == {*BOX_NAMES, *CENTER_MAP_NAMES}
    exact = outputs_of(load_model(graph), frames(1))
    assert abs(outputs["scores"].max() - exact["scores"].max()) < 0.1


@pytest.mark.parametrize("name", ["centernet-resdcn18", "centernet-dla34-dcn"])
def test_deformable_convolutions_are_refused_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.onnx"
    words = ["--model", name, "--random-weights", "0", "--num-classes", "2", "--size", "64", "64"]
    assert export_onnx.main([*words, "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is a deformable convolution, which cannot be exported; expected plain" in line
    assert not out.exists()


@pytest.mark.parametrize("name", [NAME, "centernet-resnet18"])
def test_what_has_no_weights_says_so(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export_onnx.main(["--model", name, "--out", str(tmp_path / "a.onnx")]) == 2
    assert f"{name} got no weights; expected --weights FILE" in capsys.readouterr().err


@needs_rtx
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("precision", "type_count"), [("fp16", "FP16"), ("int8", "INT8")])
def test_tensorrt_rtx_builds_it(
    graph: Path, tmp_path: Path, precision: str, type_count: str
) -> None:
    source = tmp_path / f"{precision}.onnx"
    if precision == "fp16":
        save_model(convert_to_fp16(load_model(graph)), source)
    else:
        images = find_images(str(write_images(tmp_path / "images", 3)), SIZE_HW, 3)
        calibrate(graph, images, source, CalibrationOptions(base="fp16"))
    options = TensorRTOptions(("8.6",), plugins=PluginUse.AUTO)
    out = tmp_path / "nano.engine"
    build = build_tensorrt(source, out, precision, "tensorrt-rtx", options)
    assert build.size_bytes == out.stat().st_size > 0
    assert build.plugins.records == ()
    assert f" {type_count}" in build.summary() and f" 0 {type_count}" not in build.summary()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_resnet18_in_onnx_runtime_agrees_with_torch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--size", "128", "160"]
    source, built = tmp_path / "resnet.onnx", tmp_path / "resnet.onnxruntime.onnx"
    known = ["--model", "centernet-resnet18", "--random-weights", "3"]
    words = [*known, *size, "--num-classes", "4", "--maps", "--out", str(source)]
    assert export_onnx.main(words) == 0
    words = ["--onnx", str(source), "--out", str(built), "--target", "onnxruntime"]
    assert build_engine(words) == 0
    images = write_images(tmp_path / "images", 3)
    words = ["--artifacts", str(built), str(source), "--images", str(images)]
    assert verify.main([*known, *words]) == 0
    assert "2 agree, 0 differ" in capsys.readouterr().out
