"""Nano through the real TensorRT-RTX compiler, without a GPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from calibration.calibrate import CalibrationOptions, calibrate
from export.builder_tensorrt_rtx import (
    RtxBuild,
    RtxOptions,
    build_tensorrt_rtx,
    check_precision,
)
from export.engine_report import EngineReport, Kernel
from export.onnx_graph import load_model, save_model
from export.precision import convert_to_fp16
from runtime.errors import ArtifactError, BackendError, BuildError
from runtime.image_batches import find_images
from runtime.trt_module import load_tensorrt_rtx
from tests.calibration.tiny_network import write_images
from tests.export.conftest import SIZE_HW
from tests.export.tiny_models import make_model

try:
    load_tensorrt_rtx()
    MISSING = ""
except BackendError as error:
    MISSING = str(error)

needs_rtx = pytest.mark.skipif(bool(MISSING), reason=MISSING)
OPTIONS = RtxOptions(("8.6", "8.9"))
CONVOLUTIONS = 53  # of nano; 7 of them stay float in INT8: the stem and the heads' last ones


@dataclass(frozen=True)
class Built:
    """An engine's file and what the builder said about it."""

    engine: Path
    build: RtxBuild


@pytest.fixture(scope="module")
def builds(nano_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Nano in every precision; "int8-half" is INT8 on an FP16 base."""
    folder = tmp_path_factory.mktemp("rtx")
    images = find_images(str(write_images(folder / "images", 4)), SIZE_HW, 4)
    save_model(convert_to_fp16(load_model(nano_onnx)), folder / "fp16.onnx")
    for name, base in (("int8", "fp32"), ("int8-half", "fp16")):
        calibrate(nano_onnx, images, folder / f"{name}.onnx", CalibrationOptions(base=base))
    sources = {"fp32": nano_onnx}
    sources |= {name: folder / f"{name}.onnx" for name in ("fp16", "int8", "int8-half")}
    result = {}
    for name, source in sources.items():
        engine = folder / f"{name}.engine"
        precision = name.partition("-")[0]
        result[name] = Built(engine, build_tensorrt_rtx(source, engine, precision, OPTIONS))
    return result


@needs_rtx
def test_engines_are_complete_files(builds: dict[str, Built]) -> None:
    for built in builds.values():
        assert built.engine.stat().st_size == built.build.size_bytes
        assert built.engine.read_bytes()[:4] == b"vtrt"
        assert [p for p in built.engine.parent.iterdir() if p.name.startswith(".")] == []


@needs_rtx
def test_an_fp16_engine_has_half_convolutions_alone(builds: dict[str, Built]) -> None:
    report = builds["fp16"].build.report
    assert report.convolutions("half") >= CONVOLUTIONS
    assert report.convolutions("float") == report.convolutions("int8") == 0


@needs_rtx
def test_an_int8_engine_has_int8_convolutions(builds: dict[str, Built]) -> None:
    for name, rest in (("int8", "float"), ("int8-half", "half")):
        report = builds[name].build.report
        assert report.convolutions("int8") == CONVOLUTIONS - 7
        assert report.convolutions(rest) >= 7
    assert builds["int8-half"].build.report.convolutions("float") == 0


@needs_rtx
def test_corner_pooling_runs_in_int8(builds: dict[str, Built]) -> None:
    kernels = builds["int8"].build.report.kernels
    pools = [k for k in kernels if k.kind == "maxpool" and "int8" in k.input_types]
    assert len(pools) == 4


@needs_rtx
def test_smaller_types_make_smaller_engines(builds: dict[str, Built]) -> None:
    size = {name: built.build.size_bytes for name, built in builds.items()}
    assert size["fp16"] < 0.7 * size["fp32"]
    assert size["int8"] < 0.9 * size["fp32"]


@needs_rtx
def test_the_layer_count_stays_in_bounds(builds: dict[str, Built]) -> None:
    layers = {name: built.build.layers for name, built in builds.items()}
    # Nano and its decoder, about one layer per ONNX node and constant; a jump means that a pass
    # broke or corner pooling was written in another form.
    assert CONVOLUTIONS < layers["fp32"] < 600
    assert layers["fp32"] < layers["fp16"] < layers["fp32"] + 30
    assert layers["int8"] < 1000
    assert len(builds["fp32"].build.report.kernels) < layers["fp32"]


@needs_rtx
def test_the_summary_says_what_runs(builds: dict[str, Built]) -> None:
    assert f"{CONVOLUTIONS - 7} INT8" in builds["int8"].build.summary()


@needs_rtx
def test_a_float_model_cannot_pass_for_int8_or_fp16(nano_onnx: Path, tmp_path: Path) -> None:
    for precision, message in (("int8", "no INT8 convolution"), ("fp16", "float convolutions")):
        out = tmp_path / f"{precision}.engine"
        with pytest.raises(BuildError, match=message):
            build_tensorrt_rtx(nano_onnx, out, precision, OPTIONS)
        assert not out.exists()


@needs_rtx
def test_operators_that_it_lacks_are_named_in_one_line(tmp_path: Path) -> None:
    x, y = ((TensorProto.FLOAT, (1, 4)), (TensorProto.FLOAT, (1, 4)))
    node = helper.make_node("Unheard", ["x"], ["y"], name="odd", domain="nowhere")
    model = make_model([node], {"x": x}, {"y": y})
    model.opset_import.append(helper.make_opsetid("nowhere", 1))
    source = save_model(model, tmp_path / "odd.onnx")
    with pytest.raises(BuildError, match=r"cannot read the model \(.*odd.*Plugin not found"):
        build_tensorrt_rtx(source, tmp_path / "odd.engine", "fp32", OPTIONS)
    assert not (tmp_path / "odd.engine").exists()


@needs_rtx
def test_a_graph_that_parses_but_does_not_build(tmp_path: Path) -> None:
    border = {"boxes": (TensorProto.FLOAT, (1, 8, 4)), "scores": (TensorProto.FLOAT, (1, 1, 8))}
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores", "k"], ["y"])
    result = {"y": (TensorProto.INT64, (None, 3))}
    model = make_model([node], border, result, {"k": np.array([4], np.int64)})
    source = save_model(model, tmp_path / "nms.onnx")
    with pytest.raises(BuildError, match=r"could not build the engine \(.+\)"):
        build_tensorrt_rtx(source, tmp_path / "nms.engine", "fp32", OPTIONS)


@needs_rtx
@pytest.mark.parametrize("name", ["9.0", "86", "sm_86", ""])
def test_unknown_gpus_are_refused(nano_onnx: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match=r"not one that TensorRT-RTX .* expected some of 7\.5"):
        build_tensorrt_rtx(nano_onnx, tmp_path / "no.engine", "fp32", RtxOptions((name,)))


@needs_rtx
@pytest.mark.parametrize("content", [b"", b"garbage" * 50, None], ids=["empty", "garbage", "cut"])
def test_files_that_are_no_model(nano_onnx: Path, tmp_path: Path, content: bytes | None) -> None:
    source = tmp_path / "broken.onnx"
    source.write_bytes(nano_onnx.read_bytes() if content is None else content)
    if content is None:
        os.truncate(source, source.stat().st_size // 2)
    with pytest.raises(ArtifactError, match="not a complete ONNX model"):
        build_tensorrt_rtx(source, tmp_path / "no.engine", "fp32", OPTIONS)


@needs_rtx
def test_a_larger_batch(nano_onnx: Path, tmp_path: Path) -> None:
    out = tmp_path / "batch.engine"
    build = build_tensorrt_rtx(nano_onnx, out, "fp32", RtxOptions(("8.6",), max_batch=4))
    assert build.size_bytes == out.stat().st_size


def report_of(*types: str) -> RtxBuild:
    kernels = tuple(Kernel("corrltn", "conv", (t, t), (t,)) for t in types)
    return RtxBuild(1, 1, EngineReport(kernels))


@pytest.mark.parametrize(
    ("precision", "types", "good"),
    [
        ("int8", ("int8", "float"), True),
        ("int8", ("half", "float"), False),
        ("fp16", ("half",), True),
        ("fp16", ("half", "float"), False),
        ("fp16", ("int8",), False),
        ("fp32", ("float",), True),
    ],
)
def test_what_counts_as_the_promised_precision(
    precision: str, types: tuple[str, ...], good: bool
) -> None:
    if good:
        check_precision(report_of(*types), precision)
    else:
        with pytest.raises(BuildError, match=precision.upper()):
            check_precision(report_of(*types), precision)
