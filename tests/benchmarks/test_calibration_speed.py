"""Our observer and ONNX Runtime's calibrator on a tiny network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.calibration_peer import EntropyPeer
from benchmarks.calibration_speed import Workload, main, observe_ours, observe_peer
from calibration.observers import observe
from calibration.ranges import RangeMethod, choose_threshold
from runtime.image_batches import find_images
from tests.calibration.tiny_network import make_tiny_network, write_images, write_tiny_network


@pytest.fixture(name="load")
def tiny_load(tmp_path: Path) -> Workload:
    folder = write_images(tmp_path / "images", 6)
    return Workload(write_tiny_network(tmp_path / "tiny.onnx"), str(folder), 4, 1)


@pytest.mark.slow
def test_both_are_timed_and_their_memory_measured(load: Workload, tmp_path: Path, capsys) -> None:
    argv = ["--onnx", str(load.source), "--images", load.folder, "--rounds", "7", "--threads", "1"]
    argv += ["--per-round", "2", "--memory", "2", "6", "--out", str(tmp_path / "r.json")]
    assert main(argv) == 0
    body = json.loads((tmp_path / "r.json").read_text())
    medians = {label: len(s["values"]) for label, s in body["samples_ms"].items()}
    assert medians == {"ours": 7, "onnxruntime": 7}
    ours = body["samples_ms"]["ours"]["median"]
    speed = body["facts"]["images_per_second"]["ours"]
    assert speed == pytest.approx(2e3 / ours, rel=1e-2)
    assert set(body["facts"]["peak_memory_mib"]) == {
        "ours, 2 images",
        "ours, 6 images",
        "onnxruntime, 2 images",
    }
    assert all(mib > 20 for mib in body["facts"]["peak_memory_mib"].values())
    assert [goal["limit"] for goal in body["goals"]] == [1.5, 1.05]
    assert "goal" in capsys.readouterr().out


def test_too_few_images_are_told_before_the_work(load: Workload, tmp_path: Path, capsys) -> None:
    argv = ["--onnx", str(load.source), "--images", load.folder, "--memory", "2", "9"]
    assert main([*argv, "--out", str(tmp_path / "r.json")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--images holds 6 images; expected 9" in error


def test_the_peer_sees_what_we_see(load: Workload, tmp_path: Path) -> None:
    tensors = ["stem/Relu", "heat", "top/CornerPool"]
    model, images = make_tiny_network(), load.images()
    (tmp_path / "scratch").mkdir()
    theirs = EntropyPeer(model, tensors, tmp_path / "scratch", 1).observe(images)
    ours = observe(model, tensors, images, len(images))
    assert set(theirs) == set(tensors)
    for name, histogram in ours.items():
        # 128 bins for 128 levels, its default, leave it nothing to choose: it keeps everything.
        assert theirs[name] <= histogram.peak * 1.001
        found = choose_threshold(histogram, RangeMethod.ENTROPY)
        assert np.isfinite(theirs[name]) and 0 < found <= histogram.peak


def test_each_runs_alone(load: Workload) -> None:
    for alone in (observe_ours, observe_peer):
        alone(load)


def test_a_workload_has_as_many_images_as_it_says(load: Workload) -> None:
    assert len(load.images()) == 4
    assert load.images() == find_images(load.folder, (16, 16), 4)
