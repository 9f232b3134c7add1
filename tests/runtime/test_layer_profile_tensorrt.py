"""Profiles of engines on the software GPU."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.engine_inspector import read_inspector
from runtime.errors import ArtifactError, BackendError
from runtime.layers import LayerProfile
from tests.fakes.cuda_driver import MEBIBYTE, FakeDriver
from tests.fakes.fake_tensorrt import FakeTensorRT, grey, write_tiny_engine

DETAILED = json.dumps(
    {
        "Layers": [
            {
                "Name": "backbone/Conv",
                "LayerType": "CaskConvolution",
                "Inputs": [{"Format/Datatype": "Half"}],
                "Metadata": "[ONNX Layer: stem.conv/Conv]\x1e[ONNX Layer: stem.relu/Relu]",
            },
            {"Name": "copy", "LayerType": "Reformat"},
            {"Name": "{ForeignNode[decode/Mul...decode/TopK]}"},
        ]
    }
)

pytestmark = [
    pytest.mark.usefixtures("no_library"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


def profile_of(fake: FakeTensorRT, folder: Path, runs: int = 3) -> LayerProfile:
    from runtime.layer_profile_tensorrt import profile_tensorrt

    engine = write_tiny_engine(folder / "tiny.engine", fake.product)
    return profile_tensorrt(fake.module(), engine, [grey(9)] * runs)


@pytest.mark.parametrize("product", ["tensorrt", "tensorrt-rtx"])
def test_layers_have_a_time_in_every_run(driver: FakeDriver, tmp_path: Path, product: str) -> None:
    profile = profile_of(FakeTensorRT(driver, product), tmp_path)
    assert profile.runtime == f"{product} {FakeTensorRT(driver, product).module().version}"
    assert [(layer.name, layer.times_ms) for layer in profile.layers] == [
        ("backbone/Conv", (1.5, 1.5, 1.5)),
        ("decode/TopK", (0.5, 0.5, 0.5)),
    ]
    assert len(profile.whole_ms) == len(profile.bare_ms) == 3
    assert driver.is_empty


def test_the_profiled_runs_are_no_graphs_and_the_others_are(
    driver: FakeDriver, tmp_path: Path
) -> None:
    profile_of(FakeTensorRT(driver), tmp_path, runs=5)
    assert driver.calls.count("begin_capture") == 1
    assert driver.calls.count("launch") >= 6
    # Warm-up, and the first and all other runs of the profiled context; one of the other.
    assert driver.calls.count("execute") >= 7


def test_layers_are_joined_with_what_the_inspector_tells(
    driver: FakeDriver, tmp_path: Path
) -> None:
    names = ("backbone/Conv", "copy", "{ForeignNode[decode/Mul...decode/TopK]}")
    times = tuple((name, 1.0) for name in names)
    fake = FakeTensorRT(driver, layer_times=times, inspected=DETAILED)
    profile = profile_of(fake, tmp_path)
    told = [(x.kind, x.nodes, x.precision, x.module) for x in profile.layers]
    assert told == [
        ("CaskConvolution", ("stem.conv/Conv", "stem.relu/Relu"), "fp16", "stem.conv"),
        ("Reformat", (), "", "(none)"),
        ("", ("decode/Mul", "decode/TopK"), "", "decode"),
    ]
    assert "1 layers are regions" in profile.notes[1]
    assert "1 layers name no node" in profile.notes[2]


def test_an_engine_with_names_only_says_how_to_get_more(driver: FakeDriver, tmp_path: Path) -> None:
    notes = profile_of(FakeTensorRT(driver), tmp_path).notes
    assert "without a CUDA graph" in notes[0]
    assert "names only" in notes[1] and "make engine" in notes[1]


def test_a_layer_that_runs_twice_counts_twice(driver: FakeDriver, tmp_path: Path) -> None:
    times = (("a/Conv", 1.0), ("b/Conv", 0.25), ("a/Conv", 1.0))
    layers = profile_of(FakeTensorRT(driver, layer_times=times), tmp_path).layers
    assert [(x.name, x.median_ms) for x in layers] == [("a/Conv", 2.0), ("b/Conv", 0.25)]


def test_a_layer_that_did_not_run_took_no_time(driver: FakeDriver) -> None:
    from runtime.layer_profile_tensorrt import join_layers

    inspected = read_inspector('{"Layers": ["a/Conv", "b/Conv"]}')
    layers = join_layers([{"a/Conv": 1.0}, {"a/Conv": 2.0, "b/Conv": 3.0}], inspected)
    assert [layer.times_ms for layer in layers] == [(1.0, 2.0), (0.0, 3.0)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_times": ()}, "told of no layer"),
        ({"inspected": "Error"}, "engine inspector gave 'Error'"),
        ({"refuse": frozenset({"execute"})}, "the engine failed"),
    ],
)
def test_what_fails_leaves_nothing_on_the_gpu(
    driver: FakeDriver, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    fake = dataclasses.replace(FakeTensorRT(driver), **changes)
    with pytest.raises(BackendError, match=message):
        profile_of(fake, tmp_path)
    assert driver.is_empty


def test_memory_for_two_engines_is_needed(driver: FakeDriver, tmp_path: Path) -> None:
    fake = FakeTensorRT(driver, weight_bytes=driver.free_bytes - 20 * MEBIBYTE)
    with pytest.raises(BackendError, match="memory"):
        profile_of(fake, tmp_path)
    assert driver.is_empty


def test_a_damaged_engine_is_an_error(driver: FakeDriver, tmp_path: Path) -> None:
    from runtime.layer_profile_tensorrt import profile_tensorrt

    engine = write_tiny_engine(tmp_path / "x.engine", plan=b"garbage")
    with pytest.raises(ArtifactError, match="refused"):
        profile_tensorrt(FakeTensorRT(driver).module(), engine, [np.zeros((1, 64, 64, 3), "u1")])
    assert driver.is_empty
