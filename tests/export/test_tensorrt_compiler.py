"""The full TensorRT's path through the builder, against the names of every real version."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from onnx import TensorProto, helper

from export import builder_tensorrt
from export.build_progress import BuildProgress
from export.builder_tensorrt import TensorRTBuild, build_tensorrt
from export.onnx_graph import save_model
from export.precision import convert_to_fp16
from export.tensorrt_options import PluginUse, SizeRange, TensorRTOptions
from runtime.errors import BuildError, UsageError
from runtime.trt_module import Gpu, TensorRTModule, load_tensorrt_rtx
from tests.calibration.tiny_network import make_tiny_network
from tests.export.rtx import needs_rtx
from tests.export.tiny_models import make_model
from tests.fakes.tensorrt_api import VERSIONS, FakeTensorRT

FULL = [version for version in VERSIONS if not version.startswith("rtx")]
OPTIONS = TensorRTOptions(plugins=PluginUse.NO)


@pytest.fixture(scope="module", name="half_onnx")
def half_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "tiny.onnx"
    return save_model(convert_to_fp16(make_tiny_network()), path)


class Bench:
    """A machine with a GPU and some TensorRT."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, api: Any, out: Path) -> None:
        self.out = out
        self.module = TensorRTModule(api, "tensorrt", api.__version__)
        monkeypatch.setattr(builder_tensorrt, "load_product", lambda product: self.module)
        monkeypatch.setattr(builder_tensorrt, "find_gpu", lambda: Gpu("Orin", "8.7"))

    def build(
        self, source: Path, precision: str = "fp16", options: TensorRTOptions = OPTIONS
    ) -> TensorRTBuild:
        return build_tensorrt(source, self.out, precision, "tensorrt", options)


def bench(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str = "10.3.0"
) -> tuple[FakeTensorRT, Bench]:
    api = FakeTensorRT(version)
    return api, Bench(monkeypatch, api, tmp_path / "tiny.engine")


@pytest.mark.parametrize("version", FULL)
def test_every_version_builds_with_every_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path, version: str
) -> None:
    api, machine = bench(monkeypatch, tmp_path, version)
    options = replace(
        OPTIONS,
        timing_cache=tmp_path / "timings",
        version_compatible=True,
        hardware_compatibility="ampere-plus",
        optimization_level=4,
        workspace_mib=256,
    )
    build = machine.build(half_onnx, options=options)
    assert build.compute_capabilities == ("8.7",) and build.gpu_name == "Orin"
    assert build.version.startswith(".".join(version.split(".")[:3]))
    assert build.report.convolutions("half") == build.network.convolutions("half") > 5
    (seen,) = api.configs
    assert [flag.name for flag in seen["flags"]] == ["VERSION_COMPATIBLE"]
    assert {pool.name: size for pool, size in seen["limits"].items()} == {"WORKSPACE": 256 << 20}
    assert seen["config"].builder_optimization_level == 4
    assert seen["config"].hardware_compatibility_level.name == "AMPERE_PLUS"
    assert seen["config"].profiling_verbosity.name == "DETAILED"
    assert (tmp_path / "timings").read_bytes() == b"fresh"


def test_nothing_is_set_that_was_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    api, machine = bench(monkeypatch, tmp_path)
    machine.build(half_onnx)
    (seen,) = api.configs
    assert seen["flags"] == [] and seen["limits"] == {} and seen["cache"] is None
    assert not hasattr(seen["config"], "builder_optimization_level")
    assert not hasattr(seen["config"], "hardware_compatibility_level")


@pytest.mark.parametrize(("version", "known"), [("10.3.0", False), ("10.13.3.9", True)])
def test_one_compute_capability_where_the_version_knows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path, version: str, known: bool
) -> None:
    api, machine = bench(monkeypatch, tmp_path, version)
    options = replace(OPTIONS, hardware_compatibility="same-compute-capability")
    if known:
        machine.build(half_onnx, options=options)
        level = api.configs[0]["config"].hardware_compatibility_level
        assert level.name == "SAME_COMPUTE_CAPABILITY"
    else:
        with pytest.raises(BuildError, match="expected --hardware-compatibility none or ampere"):
            machine.build(half_onnx, options=options)


@pytest.mark.parametrize(
    ("earlier", "kept"), [(b"timings", b"timings"), (b"of another GPU", b"fresh"), (b"", b"fresh")]
)
def test_the_timing_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path, earlier: bytes, kept: bytes
) -> None:
    _, machine = bench(monkeypatch, tmp_path)
    cache = tmp_path / "timings"
    cache.write_bytes(earlier)
    machine.build(half_onnx, options=replace(OPTIONS, timing_cache=cache))
    assert cache.read_bytes() == kept


def test_dynamic_sizes_become_the_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    frames = (TensorProto.UINT8, ("N", "H", 32, 3))
    cast = helper.make_node("Cast", ["frames"], ["y"], to=TensorProto.FLOAT)
    model = make_model([cast], {"frames": frames}, {"y": (TensorProto.FLOAT, frames[1])})
    source = save_model(model, tmp_path / "dynamic.onnx")
    api, machine = bench(monkeypatch, tmp_path)
    options = replace(OPTIONS, batch=SizeRange(1, 2, 4), height=SizeRange(64, 128, 256))
    machine.build(source, "fp32", options)
    (profile,) = api.configs[0]["profiles"]
    assert profile.shapes == {"frames": ((1, 64, 32, 3), (2, 128, 32, 3), (4, 256, 32, 3))}


def test_what_the_log_says_is_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    api, machine = bench(monkeypatch, tmp_path)
    api.fails_with = ["out of\nmemory", "out of\nmemory", "no tactic"]
    with pytest.raises(
        BuildError, match=r"^TensorRT 10\.3\.0 could not build the engine \(out of memory; no tac"
    ):
        machine.build(half_onnx)
    assert not machine.out.exists()


def test_ctrl_c_stops_the_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    _, machine = bench(monkeypatch, tmp_path)

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BuildProgress, "start", press)
    with pytest.raises(KeyboardInterrupt):
        machine.build(half_onnx)
    assert not machine.out.exists()


def test_an_engine_that_fell_back_to_fp32_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    api, machine = bench(monkeypatch, tmp_path)

    def one_in_float(layers: list[Any]) -> str:
        text = json.loads(api.inspector_json(layers))
        record = next(r for r in text["Layers"] if r["Name"] == "block.0/Conv")
        record["Inputs"][0]["Format/Datatype"] = "Row major linear FP32"
        return json.dumps(text)

    api.inspected = one_in_float
    with pytest.raises(BuildError, match=r"1 convolutions in FP32 .*\(block\.0/Conv; .*no rule"):
        machine.build(half_onnx)
    assert not machine.out.exists()


def test_an_inspector_without_details_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    api, machine = bench(monkeypatch, tmp_path)
    api.inspected = lambda layers: '{"Layers": ["block.0/Conv"]}'
    with pytest.raises(BuildError, match="precision is not proved"):
        machine.build(half_onnx)


def test_without_a_gpu_nothing_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    _, machine = bench(monkeypatch, tmp_path)
    monkeypatch.setattr(builder_tensorrt, "find_gpu", lambda: None)
    with pytest.raises(BuildError, match=r"no NVIDIA GPU .*TARGET=tensorrt-rtx"):
        machine.build(half_onnx)


def test_a_builder_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    api, machine = bench(monkeypatch, tmp_path)

    def refuse(logger: Any) -> None:
        logger.log(api.ILogger.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(api, "Builder", refuse)
    with pytest.raises(BuildError, match=r"does not start \(CUDA initialization .* 35\).*nvidia"):
        machine.build(half_onnx)


def test_what_a_plugin_logs_is_part_of_the_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    api, machine = bench(monkeypatch, tmp_path)
    error = SimpleNamespace(node_name=lambda: "pool", desc=lambda: "Could not create the plugin.")

    def refuse(network: Any, logger: Any) -> Any:
        def parse(data: bytes) -> bool:
            logger.log(api.ILogger.ERROR, "CornerPool pool got direction 'up'")
            logger.log(
                api.ILogger.ERROR, "ModelImporter.cpp:142: ERROR: Could not create the plugin."
            )
            return False

        return SimpleNamespace(parse=parse, num_errors=1, get_error=lambda index: error)

    monkeypatch.setattr(api, "OnnxParser", refuse)
    with pytest.raises(BuildError) as raised:
        machine.build(half_onnx)
    assert "(CornerPool pool got direction 'up'; pool: Could not create the plugin.)" in str(
        raised.value
    )


def test_a_range_for_a_size_that_the_model_fixes_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    _, machine = bench(monkeypatch, tmp_path)
    with pytest.raises(BuildError, match=r"--width was given, .*leave it out"):
        machine.build(half_onnx, options=replace(OPTIONS, width=SizeRange(64, 64, 128)))


def test_gpus_are_not_chosen_with_the_full_tensorrt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    _, machine = bench(monkeypatch, tmp_path)
    with pytest.raises(UsageError, match="--target-sm means nothing to target tensorrt"):
        machine.build(half_onnx, options=replace(OPTIONS, compute_capabilities=("8.6",)))


@needs_rtx
def test_a_real_compiler_follows_the_same_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, half_onnx: Path
) -> None:
    """TensorRT-RTX in the place of the full one: parser and builder are real, the rest is not."""
    fake = FakeTensorRT("10.16.1.11")
    inspected: list[bytes] = []

    def inspect(engine: bytes, *_: Any) -> str:
        inspected.append(engine)
        layer = {"Name": "a", "LayerType": "conv", "Outputs": []}
        return json.dumps({"Layers": [{**layer, "Inputs": [{"Datatype": "Half"}]}]})

    monkeypatch.setattr(builder_tensorrt, "_inspect", inspect)
    monkeypatch.setattr(builder_tensorrt, "parse_header", lambda header: fake)
    machine = Bench(monkeypatch, load_tensorrt_rtx().api, tmp_path / "tiny.engine")
    options = replace(OPTIONS, optimization_level=1, workspace_mib=512)
    build = machine.build(half_onnx, options=options)
    assert machine.out.read_bytes() == inspected[0]
    assert build.network.convolutions("half") > 5
    assert "CONVOLUTION" in build.explain()
