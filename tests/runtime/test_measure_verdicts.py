"""Comparisons and budgets: which runs stand against which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.budget_judgement import Outcome
from runtime.errors import UsageError
from runtime.measure_verdicts import EarlierRuns, compare_all, earlier_runs, judge_all
from runtime.measurement import Run
from runtime.options_measure import ModelChoice
from runtime.regression_budget import parse_budget
from tests.builders import write_tiny_artifact
from tests.measurements import least_run, measurement

ROUNDS = 10


def timed_run(artifact: str, factor: float = 1.0) -> Run:
    """Return a run with rounds of about 10 ms, 8 of them the network's, times a factor."""
    made = least_run(artifact)
    rng = np.random.default_rng(0)
    whole = tuple(tuple((10 * factor * rng.uniform(0.99, 1.01, 20)).tolist()) for _ in range(10))
    stages = tuple(
        replace(stage, rounds_ms=tuple(tuple(0.8 * ms for ms in own) for own in whole))
        for stage in made.journey.stages
    )
    return replace(made, journey=replace(made.journey, stages=stages, rounds_ms=whole))


def test_all_are_compared_with_the_first_end_to_end_and_by_their_networks() -> None:
    runs = [timed_run("a"), timed_run("b", 0.5), timed_run("c", 2.0)]
    comparisons = compare_all(runs, None)
    assert {(one.artifact, one.baseline) for one in comparisons} == {("b", "a"), ("c", "a")}
    verdicts = {(one.artifact, one.figure): one.verdict for one in comparisons}
    assert verdicts["b", "p50"] == "faster" and verdicts["c", "network p50"] == "slower"


def test_one_alone_is_compared_with_its_earlier_run_only() -> None:
    earlier = EarlierRuns(Path("before.json"), (timed_run("a"),))
    comparisons = compare_all([timed_run("a", 1.5)], earlier)
    assert {one.baseline for one in comparisons} == {"before.json"}
    assert {one.verdict for one in comparisons} == {"slower"}
    assert compare_all([timed_run("a")], None) == ()


def test_a_budget_stands_against_the_first_artifact() -> None:
    budgets = [parse_budget("p50>+5%")]
    judgements = judge_all(budgets, [timed_run("a"), timed_run("b", 1.5), timed_run("c")], None)
    assert [(one.artifact, one.outcome) for one in judgements] == [
        ("b", Outcome.BROKEN),
        ("c", Outcome.KEPT),
    ]


def test_a_budget_stands_against_the_earlier_run_where_there_is_one() -> None:
    earlier = EarlierRuns(Path("before.json"), (timed_run("a"), timed_run("b", 1.5)))
    runs = [timed_run("a"), timed_run("b", 1.5)]
    judgements = judge_all([parse_budget("p50>+5%")], runs, earlier)
    assert [one.outcome for one in judgements] == [Outcome.KEPT, Outcome.KEPT]


def tiny_run(artifact: str) -> Run:
    return replace(timed_run(artifact), model="tiny", size_hw=(64, 64), precision="fp32")


def test_an_earlier_run_is_found_before_measuring(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    held = measurement(tiny_run("old.onnx"))
    said: list[str] = []
    found = earlier_runs(
        tmp_path / "before.json",
        held,
        ModelChoice([artifact], "auto", 0, 0.3),
        (held.machine, held.settings),
        said.append,
    )
    assert [run.artifact for run in found.runs] == ["old.onnx"]
    assert any("digests differ" in line for line in said)
    assert all(line.startswith(f"--baseline {tmp_path / 'before.json'}: ") for line in said)


def test_an_earlier_measurement_of_another_network_or_machine_is_refused(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    model = ModelChoice([artifact], "auto", 0, 0.3)
    held = measurement(timed_run("other.onnx"))
    now = (held.machine, held.settings)
    with pytest.raises(UsageError, match="holds cornernet-nano 320x320; expected tiny 64x64"):
        earlier_runs(tmp_path / "b.json", held, model, now, print)
    elsewhere = ({**held.machine, "cpu": "another"}, held.settings)
    with pytest.raises(UsageError, match="is of another machine"):
        earlier_runs(tmp_path / "b.json", held, model, elsewhere, print)
