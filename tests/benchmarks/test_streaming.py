"""Whole streams through runtime/stream.py's code, and the comparison with the slowest stage."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from benchmarks.stages_alone import ALL_STAGES
from benchmarks.streaming import DRAWN, SAVED, alone_label, compare, main, slowest_stage
from tests.builders import write_tiny_artifact, write_video


def samples_of(label: str) -> dict[str, list[float]]:
    """Return a stream of 22 ms (24 with sinks), network 20 ms alone, publish 21, others 1."""
    stages = dict.fromkeys(ALL_STAGES, 1.0) | {"network": 20.0, "publish": 21.0}
    samples = {alone_label(label, stage): [ms] * 7 for stage, ms in stages.items()}
    return samples | {f"{label} {DRAWN}": [22.0] * 7, f"{label} {SAVED}": [24.0] * 7}


def test_a_stream_is_set_against_the_slowest_of_its_own_stages():
    findings = compare(samples_of("a"), ["a"], {})
    assert findings.ratios[f"a {DRAWN} / network alone"].of_medians == pytest.approx(1.1)
    assert findings.ratios[f"a {SAVED} / publish alone"].of_medians == pytest.approx(24 / 21)
    assert findings.facts["frames_per_second"] == {f"a {DRAWN}": 45.45, f"a {SAVED}": 41.67}
    rate, overhead = findings.goals
    assert (rate.value, rate.limit, rate.is_met) == (45.45, 40.0, True)
    assert overhead.value == pytest.approx(1.1) and not overhead.is_met


def test_a_synthetic_network_has_no_goal_for_its_rate():
    findings = compare(samples_of("synthetic 20 ms"), ["synthetic 20 ms"], {})
    assert [goal.name for goal in findings.goals] == [f"synthetic 20 ms {DRAWN} / network alone"]
    assert findings.goals[0].limit == 1.05


def test_the_slowest_stage_goes_by_the_median():
    samples = samples_of("a")
    samples[alone_label("a", "draw")] = [1.0] * 6 + [999.0]
    assert slowest_stage(samples, "a", ("network", "draw")) == "network"


@pytest.mark.slow
def test_two_artifacts_and_a_synthetic_network_end_to_end(tmp_path: Path):
    artifacts = [write_tiny_artifact(tmp_path / f"tiny-{i}.onnx") for i in range(2)]
    video = write_video(tmp_path / "v.mp4", frames=6)
    out = tmp_path / "r.json"
    words = ["--artifact", *map(str, artifacts), "--video", str(video), "--max-frames", "4"]
    words += ["--synthetic-ms", "1"]
    threads = cv2.getNumThreads()
    assert main([*words, "--rounds", "7", "--threads", "1", "--out", str(out)]) == 0
    assert cv2.getNumThreads() == threads
    body = json.loads(out.read_text())
    assert body["settings"]["frames"] == 4 and body["settings"]["video"] == "v.mp4"
    labels = ("tiny-0", "tiny-1", "synthetic 1 ms")
    expected = {name for label in labels for name in samples_of(label)}
    assert set(body["samples_ms"]) == expected
    assert all(len(figures["values"]) == 7 for figures in body["samples_ms"].values())
    assert len(body["ratios"]) == 6 and len(body["goals"]) == 5
    assert not list(tmp_path.rglob("*.part*"))


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    artifact = str(write_tiny_artifact(tmp_path / "tiny.onnx"))
    video = str(write_video(tmp_path / "v.mp4", frames=3))
    none = str(tmp_path / "none")
    cases = (
        (["--artifact", none, "--video", video], "expected a model"),
        (["--artifact", artifact, "--video", none], "expected a video"),
        (["--artifact", artifact, artifact, "--video", video], "expected different names"),
        (["--artifact", artifact, "--video", video, "--max-frames", "0"], "whole number from 1"),
        (["--artifact", artifact], "--video"),
        (["--video", video], "got no network"),
        (["--video", video, "--synthetic-ms", "0"], "--synthetic-ms"),
    )
    for words, message in cases:
        assert main([*words, "--out", str(tmp_path / "r.json")]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and message in error, error
    assert not (tmp_path / "r.json").exists()
