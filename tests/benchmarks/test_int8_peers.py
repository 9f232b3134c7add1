"""Others' tools on a tiny detector: onnxruntime's for real, ModelOpt's through a stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import int8_peers_modelopt
from benchmarks.int8_accuracy_bench import Bench
from benchmarks.int8_peers import (
    MODELOPT_SETTINGS,
    ONNXRUNTIME_SETTINGS,
    peer_candidates,
    without_functions,
)
from export.torch_export import export_module
from export.wrapper import DeployModule, Normalisation
from runtime.errors import CornerRTError, UsageError
from tests.benchmarks.test_int8_accuracy_bench import open_tiny
from tests.benchmarks.tiny_detector import write_fake_python
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.test_decode_function import PARAMS, SIZE_HW, MapsOfFrames
from tests.export.tiny_models import op_types, run


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return open_tiny(tmp_path)


def test_onnxruntime_quantizes_with_each_setting(bench: Bench) -> None:
    images = bench.choose_images(3, 1)
    found = {c.label: c.make() for c in peer_candidates(bench, images, 1, None)}
    assert list(found) == [f"onnxruntime {name}" for name in ONNXRUNTIME_SETTINGS]
    assert all(seconds > 0 for _, seconds in found.values())
    kinds = {label: op_types(model) for label, (model, _) in found.items()}
    defaults, conv_only = kinds.values()
    # The inputs of three convolutions and their weights; by default what they write too.
    assert 3 <= conv_only.count("QuantizeLinear") < defaults.count("QuantizeLinear")
    for model, _ in found.values():
        assert bench.meter.measure(model).precision.ap > 0.5
    weights = [tensor for tensor in found[list(found)[1]][0].graph.initializer if tensor.dims]
    assert any(tuple(t.dims) == (16,) and t.data_type == 1 for t in weights), "per-channel scales"


def test_other_images_are_another_model(bench: Bench) -> None:
    stamps = [
        [c.stamp for c in peer_candidates(bench, bench.choose_images(3, seed), seed, None)]
        for seed in (1, 1, 2)
    ]
    assert stamps[0] == stamps[1] != stamps[2]
    assert stamps[0][0] != stamps[0][1]


def test_modelopt_runs_in_its_own_environment(bench: Bench, tmp_path: Path) -> None:
    python = write_fake_python(tmp_path)
    peers = peer_candidates(bench, bench.choose_images(3, 1), 1, python)
    ours = [one for one in peers if one.label.startswith("ModelOpt")]
    assert [one.label for one in ours] == [f"ModelOpt {name}" for name in MODELOPT_SETTINGS]
    models = [one.make() for one in ours]
    assert [seconds for _, seconds in models] == [2.5] * len(ours)
    assert all(op_types(model) == op_types(bench.model) for model, _ in models)
    calls = [json.loads(line) for line in python.with_suffix(".log").read_text().splitlines()]
    assert {call[0] for call in calls} == {"-I"}
    assert {call[1] for call in calls} == {int8_peers_modelopt.__file__}
    assert [call[call.index("--method") + 1] for call in calls].count("entropy") == 2
    assert sum("--exclude" in call for call in calls) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!/bin/sh\necho first >&2; echo 'No module named modelopt' >&2; exit 1\n", "No module"),
        ("#!/bin/sh\nexit 3\n", "no message"),
    ],
)
def test_an_environment_without_modelopt_is_one_line(
    bench: Bench, tmp_path: Path, text: str, message: str
) -> None:
    python = write_fake_python(tmp_path, text)
    *_, last = peer_candidates(bench, bench.choose_images(2, 1), 1, python)
    with pytest.raises(CornerRTError, match=message) as caught:
        last.make()
    assert "\n" not in str(caught.value) and "first" not in str(caught.value)


def test_a_python_that_is_not_there_is_refused_before_the_work(bench: Bench) -> None:
    with pytest.raises(UsageError, match="--modelopt-python got gone, which is no file"):
        peer_candidates(bench, bench.choose_images(2, 1), 1, Path("gone"))


@pytest.mark.slow
def test_functions_give_way_to_their_bodies_in_a_copy() -> None:
    torch.manual_seed(0)
    module = DeployModule(MapsOfFrames(), Normalisation((0.5,) * 3, (0.1,) * 3), PARAMS).eval()
    decoding = export_module(module, SIZE_HW)
    frames = np.random.default_rng(0).integers(0, 256, (1, *SIZE_HW, 3), np.uint8)
    for model, sample in ((make_tiny_network(), random_frames(1)[0]), (decoding, frames)):
        before = model.SerializeToString()
        plain = without_functions(model)
        assert model.SerializeToString() == before
        assert len(model.functions) and not len(plain.functions)
        assert {node.domain for node in plain.graph.node} == {""}
        for expected, found in zip(
            run(model, frames=sample), run(plain, frames=sample), strict=True
        ):
            np.testing.assert_array_equal(expected, found)
    names = [node.name for node in plain.graph.node]
    assert any(name.startswith("decode/") for name in names)  # what ModelOpt is asked to leave out


def test_the_driver_wants_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        int8_peers_modelopt.main([])
    assert stop.value.code == 2 and "--frames" in capsys.readouterr().err
