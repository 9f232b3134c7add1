"""The models of a report: one network in several precisions, or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from calibration.calibrate import main as calibrate
from calibration.report_subjects import (
    int8_convolutions,
    int8_share,
    load_graph,
    read_portable,
    read_subjects,
)
from export.onnx_graph import load_model
from runtime.errors import ArtifactError, CalibrationError
from tests.calibration.report_sets import CALIBRATED, write_model
from tests.calibration.tiny_network import make_tiny_network, write_images, write_tiny_network
from tests.export.tiny_models import make_model


def test_models_of_one_network(tmp_path: Path):
    files = {p: write_model(tmp_path / f"{p}.onnx", p) for p in ("fp32", "fp16", "int8")}
    subjects = read_subjects(files)
    assert list(subjects) == ["fp32", "fp16", "int8"]
    int8 = subjects["int8"]
    assert int8.title == "INT8" and int8.size_bytes == files["int8"].stat().st_size
    step = int8.step("calibrate")
    assert step is not None and step.note == CALIBRATED and int8.step("gate") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "other"}, "is other at 64x64; expected tiny at 64x64"),
        ({"size_hw": (32, 64)}, "is tiny at 32x64; expected tiny at 64x64"),
        ({"class_names": ("a", "b")}, "finds a, b; expected square"),
        ({"precision": "fp16"}, "is fp16; expected int8"),
    ],
)
def test_another_model_is_refused(tmp_path: Path, changes, message):
    files = {
        "fp32": write_model(tmp_path / "fp32.onnx"),
        "int8": write_model(tmp_path / "int8.onnx", **{"precision": "int8", **changes}),
    }
    with pytest.raises(CalibrationError, match=message):
        read_subjects(files)


def test_a_missing_model(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"no file at .*none\.onnx"):
        read_subjects({"fp32": tmp_path / "none.onnx"})


@pytest.fixture(name="quantized", scope="module")
def quantized_network(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("quantized")
    source = write_tiny_network(folder / "fp32.onnx")
    images = write_images(folder / "images", 3)
    out = folder / "int8.onnx"
    assert calibrate(["--onnx", str(source), "--images", str(images), "--out", str(out)]) == 0
    return load_model(out)


def test_convolutions_and_operations_in_int8(quantized):
    share = int8_share(quantized, make_tiny_network())
    assert (share.int8, share.convolutions) == (9, 11)
    assert share.percent is not None and 50 < share.percent < 100


def test_operations_are_not_known_without_the_float_model(quantized):
    assert int8_share(quantized, None).percent is None


def test_a_float_model_has_nothing_in_int8():
    assert int8_share(make_tiny_network(), make_tiny_network()).percent == 0


def test_integer_operators_of_a_built_model_count():
    kind = (TensorProto.UINT8, (1, 1, 4, 4))
    names = ("x", "s", "z", "w", "s", "z", "s", "z")
    node = helper.make_node("QLinearConv", names, ["y"], name="a/Conv")
    plain = helper.make_node("FusedConv", ["a", "b"], ["c"], "b/Conv", domain="com.microsoft")
    model = make_model([node], {"x": kind}, {"y": kind}, {})
    model.graph.node.append(plain)
    assert int8_convolutions(model) == {"a/Conv"}
    assert (int8_share(model, None).int8, int8_share(model, None).convolutions) == (1, 2)


def test_the_portable_model_is_the_reports_own_or_the_one_named(tmp_path: Path):
    portable = write_model(tmp_path / "portable.onnx")
    built = write_model(tmp_path / "built.onnx", target="onnxruntime")
    own, reference = (read_subjects({"fp32": path})["fp32"] for path in (portable, built))
    assert read_portable(None, own) is not None
    assert read_portable(None, reference) is None
    assert read_portable(portable, reference) is not None
    with pytest.raises(CalibrationError, match=r"fp32 for onnxruntime; expected .* for portable"):
        read_portable(built, reference)


def test_an_engine_has_no_graph(tmp_path: Path):
    engine = write_model(tmp_path / "e.engine", target="tensorrt")
    subject = read_subjects({"fp32": engine})["fp32"]
    assert not subject.is_onnx and load_graph(subject) is None
