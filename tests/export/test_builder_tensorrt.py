"""Nano through the real TensorRT-RTX compiler, without a GPU."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from calibration.calibrate import CalibrationOptions, calibrate
from export.builder_tensorrt import TensorRTBuild, build_tensorrt
from export.onnx_graph import load_model, save_model
from export.precision import convert_to_bf16, convert_to_fp16
from export.tensorrt_options import PluginUse, SizeRange, TensorRTOptions
from plugins.library import LIBRARY_VARIABLE
from runtime.errors import ArtifactError, BuildError, ExportError, UsageError
from runtime.image_batches import find_images
from runtime.manifest import parse_header
from tests.calibration.tiny_network import write_images
from tests.export.conftest import SIZE_HW
from tests.export.rtx import needs_rtx
from tests.export.tiny_models import corner_pool_model, make_model
from tests.plugins.built_library import built_library

pytestmark = needs_rtx
# Without plugins: the same engine whether the library was built or not.
OPTIONS = TensorRTOptions(("8.6", "8.9"), plugins=PluginUse.NO)
CONVOLUTIONS = 53  # of nano; 7 of them stay float in INT8: the stem and the heads' last ones


@dataclass(frozen=True)
class Built:
    """An engine's file and what the builder said about it."""

    engine: Path
    build: TensorRTBuild


def build_rtx(
    source: Path, out: Path, precision: str = "fp32", options: TensorRTOptions = OPTIONS
) -> TensorRTBuild:
    return build_tensorrt(source, out, precision, "tensorrt-rtx", options)


@pytest.fixture(scope="module")
def builds(nano_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Nano in every precision; "int8-half" is INT8 on an FP16 base."""
    folder = tmp_path_factory.mktemp("rtx")
    images = find_images(str(write_images(folder / "images", 4)), SIZE_HW, 4)
    save_model(convert_to_fp16(load_model(nano_onnx)), folder / "fp16.onnx")
    save_model(convert_to_bf16(load_model(nano_onnx)), folder / "bf16.onnx")
    for name, base in (("int8", "fp32"), ("int8-half", "fp16")):
        calibrate(nano_onnx, images, folder / f"{name}.onnx", CalibrationOptions(base=base))
    sources = {"fp32": nano_onnx}
    sources |= {name: folder / f"{name}.onnx" for name in ("fp16", "bf16", "int8", "int8-half")}
    result = {}
    for name, source in sources.items():
        engine = folder / f"{name}.engine"
        precision = name.partition("-")[0]
        result[name] = Built(engine, build_rtx(source, engine, precision))
    return result


def test_engines_are_complete_files(builds: dict[str, Built]) -> None:
    for built in builds.values():
        assert built.engine.stat().st_size == built.build.size_bytes
        header = parse_header(built.engine.read_bytes()[:64])
        assert header.compute_capabilities == built.build.compute_capabilities == ("8.6", "8.9")
        assert header.size_bytes == built.build.size_bytes
        assert header.version == built.build.version
        assert [p for p in built.engine.parent.iterdir() if p.name.startswith(".")] == []


def test_an_fp16_engine_has_half_convolutions_alone(builds: dict[str, Built]) -> None:
    report = builds["fp16"].build.report
    assert report.convolutions("half") >= CONVOLUTIONS
    assert report.convolutions("float") == report.convolutions("int8") == 0


def test_a_bf16_engine_has_bf16_convolutions_alone(builds: dict[str, Built]) -> None:
    report = builds["bf16"].build.report
    assert report.convolutions("bf16") >= CONVOLUTIONS
    assert report.convolutions("float") == report.convolutions("half") == 0


def test_an_int8_engine_has_int8_convolutions(builds: dict[str, Built]) -> None:
    for name, rest in (("int8", "float"), ("int8-half", "half")):
        report = builds[name].build.report
        assert report.convolutions("int8") == CONVOLUTIONS - 7
        assert report.convolutions(rest) >= 7
    assert builds["int8-half"].build.report.convolutions("float") == 0


def test_corner_pooling_runs_in_int8(builds: dict[str, Built]) -> None:
    kernels = builds["int8"].build.report.layers
    pools = [k for k in kernels if k.kind == "maxpool" and "int8" in k.input_types]
    assert len(pools) == 4


def test_smaller_types_make_smaller_engines(builds: dict[str, Built]) -> None:
    size = {name: built.build.size_bytes for name, built in builds.items()}
    assert size["fp16"] < 0.7 * size["fp32"]
    assert size["int8"] < 0.9 * size["fp32"]


def test_the_layer_count_stays_in_bounds(builds: dict[str, Built]) -> None:
    layers = {name: len(built.build.network.layers) for name, built in builds.items()}
    # Nano and its decoder, about one layer per ONNX node and constant; a jump means that a pass
    # broke or corner pooling was written in another form.
    assert CONVOLUTIONS < layers["fp32"] < 600
    assert layers["fp32"] < layers["fp16"] < layers["fp32"] + 30
    assert layers["int8"] < 1000
    assert len(builds["fp32"].build.report.layers) < layers["fp32"]


def test_the_summary_says_what_runs(builds: dict[str, Built]) -> None:
    summary = builds["int8"].build.summary()
    assert f"{CONVOLUTIONS - 7} INT8" in summary and "(kept by rule: stem 1, last 6)" in summary
    assert summary.startswith("for compute capability 8.6, 8.9; ")
    assert summary.endswith("; plugins not asked for")


def test_the_tables_say_what_runs(builds: dict[str, Built]) -> None:
    tables = builds["int8"].build.explain()
    (row,) = re.findall(r"^CONVOLUTION +(.*)$", tables, re.MULTILINE)
    assert row.split() == ["7", str(CONVOLUTIONS - 7)]
    assert re.search(r"^stem\.0\.conv/Conv  stem$", tables, re.MULTILINE)
    assert "kept by rule" not in builds["fp16"].build.explain()


def test_a_float_model_cannot_pass_for_int8_or_fp16(nano_onnx: Path, tmp_path: Path) -> None:
    for precision in ("int8", "fp16", "bf16"):
        out = tmp_path / f"{precision}.engine"
        title = precision.upper()
        with pytest.raises(BuildError, match=f"the {title} model has no {title} convolution"):
            build_rtx(nano_onnx, out, precision)
        assert not out.exists()


def test_operators_that_it_lacks_are_named_in_one_line(tmp_path: Path) -> None:
    x, y = ((TensorProto.FLOAT, (1, 4)), (TensorProto.FLOAT, (1, 4)))
    node = helper.make_node("Unheard", ["x"], ["y"], name="odd", domain="nowhere")
    model = make_model([node], {"x": x}, {"y": y})
    model.opset_import.append(helper.make_opsetid("nowhere", 1))
    source = save_model(model, tmp_path / "odd.onnx")
    with pytest.raises(BuildError, match=r"cannot read the model \(.*odd.*Plugin not found"):
        build_rtx(source, tmp_path / "odd.engine")
    assert not (tmp_path / "odd.engine").exists()


def test_a_graph_that_parses_but_does_not_build(tmp_path: Path) -> None:
    border = {"boxes": (TensorProto.FLOAT, (1, 8, 4)), "scores": (TensorProto.FLOAT, (1, 1, 8))}
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores", "k"], ["y"])
    result = {"y": (TensorProto.INT64, (None, 3))}
    model = make_model([node], border, result, {"k": np.array([4], np.int64)})
    source = save_model(model, tmp_path / "nms.onnx")
    with pytest.raises(BuildError, match=r"could not build the engine \(.+\)"):
        build_rtx(source, tmp_path / "nms.engine")


def test_a_gpu_that_this_version_does_not_know(nano_onnx: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, compute_capabilities=("9.0",))
    with pytest.raises(BuildError, match=r"does not build for SM90; expected some of SM75, SM80"):
        build_rtx(nano_onnx, tmp_path / "no.engine", options=options)


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, None], ids=["empty", "garbage", "cut"])
def test_files_that_are_no_model(nano_onnx: Path, tmp_path: Path, content: bytes | None) -> None:
    source = tmp_path / "broken.onnx"
    source.write_bytes(nano_onnx.read_bytes() if content is None else content)
    if content is None:
        os.truncate(source, source.stat().st_size // 2)
    with pytest.raises(ArtifactError, match="not a complete ONNX model"):
        build_rtx(source, tmp_path / "no.engine")


def test_a_larger_batch(nano_onnx: Path, tmp_path: Path) -> None:
    out = tmp_path / "batch.engine"
    options = replace(OPTIONS, batch=SizeRange(1, 2, 4), optimization_level=0, workspace_mib=512)
    assert build_rtx(nano_onnx, out, options=options).size_bytes == out.stat().st_size


def test_dynamic_heights_and_widths(tmp_path: Path) -> None:
    frames = (TensorProto.UINT8, ("N", "H", "W", 3))
    cast = helper.make_node("Cast", ["frames"], ["y"], to=TensorProto.FLOAT)
    model = make_model([cast], {"frames": frames}, {"y": (TensorProto.FLOAT, frames[1])})
    source = save_model(model, tmp_path / "dynamic.onnx")
    with pytest.raises(BuildError, match=r"dynamic in dimension 1; expected --height SMALLEST"):
        build_rtx(source, tmp_path / "no.engine")
    sizes = SizeRange(64, 128, 256)
    build_rtx(source, tmp_path / "yes.engine", options=replace(OPTIONS, height=sizes, width=sizes))


def test_too_little_workspace_is_a_reason(nano_onnx: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, workspace_mib=1)
    with pytest.raises(
        BuildError, match=r"could not build the engine \(.*[Mm]emory.*enough memory"
    ):
        build_rtx(nano_onnx, tmp_path / "no.engine", options=options)


@pytest.mark.parametrize(
    "options",
    [
        {"timing_cache": Path("x")},
        {"version_compatible": True},
        {"hardware_compatibility": "ampere-plus"},
    ],
)
def test_options_of_the_full_tensorrt(
    nano_onnx: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(UsageError, match="means nothing to target tensorrt-rtx"):
        build_rtx(nano_onnx, tmp_path / "no.engine", options=replace(OPTIONS, **options))


def test_corner_pooling_without_a_fixed_size_needs_the_plugin(tmp_path: Path) -> None:
    source = save_model(corner_pool_model("top", (1, 2, "H", 8)), tmp_path / "dynamic.onnx")
    with pytest.raises(ExportError, match="fixed height and width"):
        build_rtx(source, tmp_path / "no.engine")


@pytest.mark.parametrize(("name", "number_type"), [("fp16", "half"), ("int8-half", "int8")])
def test_real_plugins_take_the_nodes_in_their_precision(
    builds: dict[str, Built],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number_type: str,
) -> None:
    monkeypatch.setenv(LIBRARY_VARIABLE, str(built_library()))
    source = builds[name].engine.with_suffix(".onnx")
    options = replace(OPTIONS, plugins=PluginUse.YES)
    build = build_rtx(source, tmp_path / "x.engine", name.partition("-")[0], options)
    calls = [layer for layer in build.report.layers if layer.kind == "custom_layer"]
    pools = [layer for layer in calls if layer.input_types == layer.output_types == (number_type,)]
    assert len(pools) == 4
    assert "CornerPool" in [record.name for record in build.plugins.records]
    assert build.summary().endswith(build.plugins.remark)
    assert build.plugins.remark.startswith("with plugins CornerPool 1")
