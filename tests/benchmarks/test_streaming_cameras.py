"""Live cameras in small, and the arithmetic of shares and limits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.common import Samples, Turn
from benchmarks.streaming_cameras import Course, deviation, judge, main


def course(ages: dict[str, list[float]], network_ms: float = 10.0) -> Course:
    counts = {camera: len(own) for camera, own in ages.items()}
    return Course(ages_ms=ages, network_ms=[network_ms], rounds=[counts], captured=9, dropped=2)


def one_round(turns: Sequence[Turn], rounds: int, warmup: int) -> Samples:
    return {label: [value] * rounds for turn in turns for label, value in turn().items()}


def test_a_share_is_set_against_the_mean() -> None:
    assert deviation([100, 100, 100]) == 0.0
    assert deviation([110, 100, 90]) == pytest.approx(0.1)
    assert deviation([0, 200]) == 1.0


def test_one_camera_is_judged_by_its_tail() -> None:
    limit = 2000 / 30 + 10
    for age, is_met in ((limit - 0.1, True), (limit + 0.1, False)):
        findings = judge({("n", 1): course({"a": [age] * 200})}, {}, {})
        (goal,) = findings.goals
        assert goal.limit == pytest.approx(limit) and goal.is_met == is_met
    facts = findings.facts["n, 1 camera"]
    assert (facts["captured"], facts["dropped"], facts["network_p50_ms"]) == (9, 2, 10.0)


def test_several_cameras_are_judged_by_their_shares() -> None:
    fair = course({"a": [500.0] * 100, "b": [1.0] * 100})
    unfair = course({"a": [1.0] * 110, "b": [1.0] * 90})
    goals = judge({("fair", 2): fair, ("unfair", 2): unfair}, {}, {}).goals
    assert [goal.is_met for goal in goals] == [True, False]
    assert goals[1].value == pytest.approx(0.1) and goals[1].limit == 0.05


def test_a_round_that_was_unfair_shows_beside_the_sum() -> None:
    own = course({"a": [1.0] * 4, "b": [1.0] * 4})
    own.rounds = [{"a": 3, "b": 1}, {"a": 1, "b": 3}]
    facts = own.facts()
    assert facts["largest_deviation"] == 0 and facts["largest_deviation_in_a_round"] == 0.5


def test_cameras_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.streaming_cameras.WARMUP_S", 0.1)
    monkeypatch.setattr("benchmarks.streaming_cameras.run_rounds", one_round)
    out = tmp_path / "r.json"
    words = ["--synthetic-ms", "5", "--cameras", "1", "2", "--seconds", "0.2"]
    assert main([*words, "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    one, two = (body["facts"][f"synthetic 5 ms, {count}"] for count in ("1 camera", "2 cameras"))
    assert one["age"]["count"] == sum(one["age"]["histogram"].values()) > 0
    assert set(two["results_by_camera"]) == {"camera 1", "camera 2"}
    assert len(one["cores_used"]) == len(two["resident_mib"]) == 1
    assert [goal["name"].split(",")[-1] for goal in body["goals"]] == [
        " ms",
        " share farthest from the mean",
    ]
    assert len(body["samples_ms"]) == 8


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--synthetic-ms", "1", "--cameras", "0"], ["--seconds", "x"]):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
