"""Measured layers beside counted ones, joined by the nodes they hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from export.roofline_bound import NetworkBound, bound_network
from export.roofline_measured import (
    LayerComparison,
    MeasuredRun,
    compare_layers,
    device_notice,
    read_measured,
)
from runtime.errors import UsageError
from runtime.layers import LayerProfile, LayerTime
from runtime.measurement import Measurement, Run
from runtime.measurement_file import write_measurement
from tests.export.rooflines import network_of, plain_device, two_convolutions
from tests.fakes.measured import measurement_of, run_of

RUN = run_of([[4.0, 6.0, 5.0]])


def bound() -> NetworkBound:
    return bound_network(network_of(two_convolutions()), plain_device())


def layer(name: str, times_ms: tuple[float, ...], *nodes: str) -> LayerTime:
    return LayerTime(name, "Conv", nodes, "fp32", times_ms)


def measured(*layers: LayerTime) -> MeasuredRun:
    profile = LayerProfile("onnxruntime", layers, (1.0,))
    return MeasuredRun(replace(RUN, layers=profile), "Plain board")


def written(folder: Path, measurement: Measurement) -> Path:
    write_measurement(measurement, folder / "profile.json")
    return folder / "profile.json"


def test_layers_with_the_same_nodes_stand_side_by_side() -> None:
    floors = [x.floor_ms for x in bound().layers]
    found = compare_layers(
        bound(),
        measured(
            layer("fused", (3.0, 1.0, 2.0), "stem/Conv", "stem/Relu"),
            layer("last", (0.5,), "head.last/Conv"),
        ),
    )
    assert found.layers == (
        LayerComparison("stem/Conv", floors[0], 2.0),
        LayerComparison("head.last/Conv", floors[1], 0.5),
    )
    assert found.elsewhere_ms == 0


def test_a_layer_that_holds_two_counted_ones_takes_both_floors() -> None:
    floors = [x.floor_ms for x in bound().layers]
    (row,) = compare_layers(
        bound(), measured(layer("all", (1.0,), "stem/Conv", "head.last/Conv"))
    ).layers
    assert row == LayerComparison("stem/Conv", sum(floors), 1.0)


def test_layers_that_split_a_counted_one_add_up() -> None:
    (row,) = compare_layers(
        bound(), measured(layer("a", (1.0,), "stem/Conv"), layer("b", (0.25,), "stem/Relu"))
    ).layers
    assert row.measured_ms == 1.25


def test_a_node_that_the_runtime_made_belongs_to_its_module() -> None:
    (row,) = compare_layers(bound(), measured(layer("scan", (1.0,), "stem/Scan"))).layers
    assert row.name == "stem/Conv"


def test_what_belongs_nowhere_is_counted_apart() -> None:
    found = compare_layers(
        bound(), measured(layer("reformat", (0.5,)), layer("foreign", (1.0,), "other/Conv"))
    )
    assert found.layers == () and found.elsewhere_ms == 1.5


def test_a_run_without_layers_still_has_its_whole_time() -> None:
    found = compare_layers(bound(), MeasuredRun(RUN, "Plain board"))
    assert found.layers == () and found.measured.network_ms == RUN.journey.bare.p50_ms


def test_the_run_of_the_network_is_chosen(tmp_path: Path) -> None:
    other = replace(RUN, artifact="other", model="cornernet-squeeze", size_hw=(511, 511))
    path = written(tmp_path, measurement_of(other, RUN))
    assert read_measured(path, "cornernet-nano", (320, 320)).run == RUN
    assert read_measured(path, None, None).run.artifact == "other"
    with pytest.raises(
        UsageError, match=r"holds cornernet-squeeze 511x511, cornernet-nano 320x320; expected .*256"
    ):
        read_measured(path, "cornernet-nano", (256, 256))


@pytest.mark.parametrize(
    ("gpu", "expected"), [("none used", "Example CPU"), ("NVIDIA H200", "NVIDIA H200")]
)
def test_what_measured_is_the_gpu_or_else_the_processor(
    tmp_path: Path, gpu: str, expected: str
) -> None:
    measurement = measurement_of(RUN)
    measurement = replace(measurement, machine=measurement.machine | {"gpu": gpu})
    assert read_measured(written(tmp_path, measurement), None, None).device == expected


def test_another_device_gets_one_line() -> None:
    device = plain_device()
    assert device_notice(MeasuredRun(RUN, "plain board rev 2"), device) == ""
    line = device_notice(MeasuredRun(RUN, "NVIDIA H200"), device)
    assert line.startswith("notice: measured on NVIDIA H200, bounded on Plain board")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"format": "other"}')
    with pytest.raises(UsageError, match="'other'; expected 'cornerrt-measurement-1'"):
        read_measured(tmp_path / "x.json", None, None)


def test_types_of_the_interface_are_those_of_the_runtime() -> None:
    assert isinstance(RUN, Run)
