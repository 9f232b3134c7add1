"""The build for ONNX Runtime: INT8 really fused, FP16 refused, files that open."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from export.builder_onnxruntime import (
    OnnxRuntimeBuild,
    build_onnxruntime,
    check_precision,
    fold_constant_dequantize,
)
from export.onnx_graph import load_model, save_model
from export.precision import convert_to_fp16
from runtime.errors import ArtifactError, BuildError
from tests.calibration.test_insert_qdq import quantize
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.tiny_models import make_model, op_types, run


def run_file(path: Path, frame: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["heat"], {"frames": frame})[0]


@pytest.fixture(name="float_file")
def float_model(tmp_path: Path) -> Path:
    return save_model(make_tiny_network(), tmp_path / "fp32.onnx")


@pytest.fixture(name="int8_file")
def int8_model(tmp_path: Path) -> Path:
    return save_model(quantize(make_tiny_network()), tmp_path / "int8.onnx")


def test_a_float_build_computes_the_same(float_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    build = build_onnxruntime(float_file, out, "fp32")
    assert (build.int8_convolutions, build.float_convolutions) == (0, 11)
    frame = random_frames(1)[0]
    np.testing.assert_allclose(
        run_file(out, frame), run(make_tiny_network(), frames=frame)[0], rtol=1e-4, atol=1e-4
    )


def test_the_build_needs_no_function_and_runs_on_any_processor(
    float_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.onnx"
    build_onnxruntime(float_file, out, "fp32")
    model = load_model(out)
    assert not model.functions
    assert {node.domain for node in model.graph.node} <= {"", "com.microsoft"}  # no nchwc


def test_int8_convolutions_and_additions_are_fused(int8_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    build = build_onnxruntime(int8_file, out, "int8")
    kinds = op_types(load_model(out))
    # All but the stem, the last one, and head.0, whose reader takes float.
    assert build.int8_convolutions == kinds.count("QLinearConv") == 8
    assert build.float_convolutions == 3
    assert kinds.count("QLinearAdd") == 3
    assert "Relu" not in kinds


def test_an_int8_build_stays_close_to_the_portable_file(int8_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    build_onnxruntime(int8_file, out, "int8")
    frame = random_frames(1)[0]
    expected = run(load_model(int8_file), frames=frame)[0]
    assert np.abs(run_file(out, frame) - expected).mean() < 0.05 * np.abs(expected).mean()


def test_weights_are_not_dequantized_for_every_frame(int8_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    build_onnxruntime(int8_file, out, "int8")
    model = load_model(out)
    constants = {t.name for t in model.graph.initializer}
    late = [n for n in model.graph.node if n.op_type == "DequantizeLinear"]
    assert not [node for node in late if node.input[0] in constants]


def test_a_float_model_cannot_pass_for_int8(float_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    with pytest.raises(BuildError, match=r"INT8 build has no INT8 convolution.*calibrate"):
        build_onnxruntime(float_file, out, "int8")
    assert not out.exists()


def test_fp16_is_refused_where_it_would_run_in_fp32() -> None:
    check_precision(OnnxRuntimeBuild(9, 0, 5, 1), "fp16")
    with pytest.raises(BuildError, match="no FP16 convolution on this processor"):
        check_precision(OnnxRuntimeBuild(9, 0, 0, 5), "fp16")


def test_an_fp16_file_is_judged_by_what_onnx_runtime_makes_of_it(tmp_path: Path) -> None:
    source = save_model(convert_to_fp16(make_tiny_network()), tmp_path / "fp16.onnx")
    try:
        build = build_onnxruntime(source, tmp_path / "out.onnx", "fp16")
    except BuildError as error:
        assert "would run in FP32" in str(error)  # processors without half kernels
    else:
        assert build.half_convolutions > 0


def test_int8_with_a_half_base_is_for_gpus(tmp_path: Path) -> None:
    model = convert_to_fp16(quantize(make_tiny_network()))
    source = save_model(model, tmp_path / "int8.onnx")
    with pytest.raises(BuildError, match=r"FP16 base, which only GPUs run.*--base fp32"):
        build_onnxruntime(source, tmp_path / "out.onnx", "int8")


def test_a_truncated_file(float_file: Path, tmp_path: Path) -> None:
    os.truncate(float_file, float_file.stat().st_size // 2)
    with pytest.raises(ArtifactError, match="not a complete ONNX model"):
        build_onnxruntime(float_file, tmp_path / "out.onnx", "fp32")


def test_a_graph_that_onnx_runtime_refuses(tmp_path: Path) -> None:
    border = (TensorProto.FLOAT, (1, 4))
    node = helper.make_node("Unheard", ["x"], ["y"], domain="nowhere")
    model = make_model([node], {"x": border}, {"y": border})
    model.opset_import.append(helper.make_opsetid("nowhere", 1))
    source = save_model(model, tmp_path / "odd.onnx")
    out = tmp_path / "out.onnx"
    with pytest.raises(BuildError, match=r"refused the model \(.*Unheard"):
        build_onnxruntime(source, out, "fp32")
    assert not out.exists()


@pytest.mark.parametrize("axis", [0, 1])
def test_folding_equals_dequantizing(axis: int) -> None:
    random = np.random.default_rng(0)
    constants = {
        "q": random.integers(-128, 128, (3, 3, 2), dtype=np.int8),
        "s": random.uniform(0.1, 2, 3).astype(np.float32),
        "z": np.zeros(3, np.int8),
    }
    border = (TensorProto.FLOAT, (3, 3, 2))
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=axis),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    model = make_model(nodes, {"x": border}, {"y": border}, constants)
    x = random.normal(size=(3, 3, 2)).astype(np.float32)
    expected = run(model, x=x)
    fold_constant_dequantize(model)
    assert op_types(model) == ["Add"]
    assert [t.name for t in model.graph.initializer] == ["w"]
    np.testing.assert_array_equal(run(model, x=x)[0], expected[0])
