"""INT8 files through the real TensorRT-RTX compiler: which kernels are INT8, and what they write.

Kernels do not depend on ranges, so nothing is observed here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from onnx import ModelProto

from calibration.int8_region import Target
from calibration.quantize import Quantizable, Ranges, quantize_model
from calibration.quantize_rules import Placement, plan_quantization
from calibration.weights import Granularity, WeightMethod, WeightOptions
from export.builder_tensorrt import build_tensorrt
from export.detector_source import DetectorSource
from export.engine_report import EngineReport, Layer
from export.export_onnx import ExportRequest, export_onnx
from export.onnx_graph import load_model, save_model
from export.tensorrt_options import PluginUse, TensorRTOptions
from plugins.library import LIBRARY_VARIABLE
from tests.calibration.small_graphs import fire_modules
from tests.calibration.tiny_network import make_tiny_network
from tests.export.rtx import needs_rtx
from tests.plugins.built_library import built_library

pytestmark = needs_rtx
PORTABLE, RTX = Target.PORTABLE, Target.TENSORRT_RTX
CHANNEL, TENSOR = Granularity.PER_CHANNEL, Granularity.PER_TENSOR


class Case(NamedTuple):
    """How a network is quantized and built."""

    network: str
    granularity: Granularity
    target: Target = RTX
    plugins: PluginUse = PluginUse.NO


Build = Callable[[Case], EngineReport]


@pytest.fixture(name="build", scope="module")
def builder(nano_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build each case once."""
    folder = tmp_path_factory.mktemp("kernels")
    networks = {"tiny": make_tiny_network(), "fire": fire_modules(), "nano": load_model(nano_onnx)}
    built: dict[Case, EngineReport] = {}

    def build(case: Case) -> EngineReport:
        if case.network not in networks:
            networks[case.network] = export(case.network, folder)
        if case not in built:
            built[case] = build_engine(networks[case.network], case, folder)
        return built[case]

    return build


def export(name: str, folder: Path) -> ModelProto:
    """Return a detector of the registry with random weights."""
    request = ExportRequest(DetectorSource(name, random_seed=0), (127, 127))
    export_onnx(request, folder / f"{name}.onnx")
    return load_model(folder / f"{name}.onnx")


def build_engine(model: ModelProto, case: Case, folder: Path) -> EngineReport:
    placement = Placement(target=case.target)
    tensors = plan_quantization(model, placement).observable()
    weights = WeightOptions(case.granularity, WeightMethod.MAX)
    source = Quantizable(model, Ranges({}, dict.fromkeys(tensors, 4.0)), weights)
    path = save_model(quantize_model(source, placement, "fp16").model, folder / "int8.onnx")
    options = TensorRTOptions(("8.6",), plugins=case.plugins)
    return build_tensorrt(path, folder / "int8.engine", "int8", "tensorrt-rtx", options).report


def int8_convolutions(report: EngineReport) -> list[Layer]:
    return [layer for layer in report.layers if layer.convolves_in == "int8"]


def written_types(report: EngineReport) -> set[tuple[str, ...]]:
    return {layer.output_types for layer in int8_convolutions(report)}


@pytest.mark.parametrize(("network", "count"), [("tiny", 9), ("fire", 7), ("nano", 46)])
@pytest.mark.parametrize("target", [PORTABLE, RTX])
@pytest.mark.parametrize(("granularity", "written"), [(CHANNEL, "float"), (TENSOR, "half")])
def test_planned_convolutions_run_in_int8(
    build: Build, network: str, count: int, target: Target, granularity: Granularity, written: str
) -> None:
    report = build(Case(network, granularity, target))
    assert len(int8_convolutions(report)) == count
    # With one scale per tensor, bias, ReLU and addition are in the convolution's kernel.
    assert written_types(report) == {(written,)}
    assert report.convolutions("float") == 0


def test_one_weight_scale_and_the_placement_for_rtx_need_fewest_kernels(build: Build) -> None:
    for network in ("tiny", "nano"):
        kernels = {
            (granularity, target): len(build(Case(network, granularity, target)).layers)
            for granularity in Granularity
            for target in (PORTABLE, RTX)
        }
        best = kernels.pop((TENSOR, RTX))
        assert best < min(kernels.values())


def test_fire_modules_are_joined_by_the_kernel_that_quantizes(build: Build) -> None:
    for case in (Case("fire", granularity) for granularity in Granularity):
        joins = [layer for layer in build(case).layers if "Conc" in layer.name]
        assert [layer.output_types for layer in joins] == [("int8",)] * 2


def test_depthwise_and_transposed_convolutions_stay_half(build: Build) -> None:
    report = build(Case("fire", TENSOR))
    names = [layer.name for layer in int8_convolutions(report)]
    assert not [name for name in names if "deep" in name]
    (transposed,) = [layer for layer in report.layers if layer.kind == "deconvolution"]
    assert "int8" not in transposed.input_types


def test_a_transposed_convolution_gains_nothing_on_rtx(build: Build) -> None:
    """What the rules for the full TensorRT quantize is dequantized again."""
    report = build(Case("fire", TENSOR, Target.TENSORRT))
    (transposed,) = [layer for layer in report.layers if layer.kind == "deconvolution"]
    assert "int8" not in transposed.input_types
    assert len(report.layers) > len(build(Case("fire", TENSOR)).layers)


@pytest.mark.parametrize("granularity", list(Granularity))
def test_corner_pooling_by_plugin_reads_and_writes_int8(
    build: Build, granularity: Granularity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIBRARY_VARIABLE, str(built_library()))
    report = build(Case("nano", granularity, plugins=PluginUse.YES))
    pools = [layer for layer in report.layers if layer.kind == "custom_layer"]
    types = [layer for layer in pools if layer.input_types == layer.output_types == ("int8",)]
    assert len(types) == 4
    assert len(int8_convolutions(report)) == 46


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_squeeze(build: Build) -> None:
    kernels = {}
    for granularity, written in ((CHANNEL, "float"), (TENSOR, "half")):
        report = build(Case("cornernet-squeeze", granularity))
        assert len(int8_convolutions(report)) == 140
        assert written_types(report) == {(written,)}
        kernels[granularity] = len(report.layers)
    assert kernels[TENSOR] < kernels[CHANNEL]
