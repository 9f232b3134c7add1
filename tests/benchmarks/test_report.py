"""The command's contract: exit status, JSON, table, and no file after bad input."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.common import Goal, Ratio, Sense
from benchmarks.report import Findings, benchmark_parser, run_benchmark, table_text
from runtime.errors import ArtifactError

FINDINGS = Findings(
    settings={"threads": 2},
    samples_ms={"a": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]},
    ratios={"a / b": Ratio(1.5, 1.25, 1.75)},
    goals=(Goal("fast", 1.5, Sense.AT_LEAST, 1.3), Goal("lean", 1.5, Sense.AT_MOST, 1.0)),
    facts={"bytes": 12},
)


def run(arguments: list[str], findings: Findings = FINDINGS) -> int:
    return run_benchmark("example", benchmark_parser("example", ""), arguments, lambda _: findings)


def test_json_holds_every_value_and_the_machine(tmp_path: Path):
    out = tmp_path / "new" / "r.json"
    assert run(["--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert (body["format"], body["benchmark"]) == ("cornerrt-benchmark-1", "example")
    assert body["samples_ms"]["a"]["values"] == FINDINGS.samples_ms["a"]
    assert [body["samples_ms"]["a"][k] for k in ("q1", "median", "q3")] == [2.5, 4.0, 5.5]
    assert body["ratios"] == {"a / b": {"of_medians": 1.5, "q1": 1.25, "q3": 1.75}}
    assert [goal["met"] for goal in body["goals"]] == [True, False]
    assert body["settings"] == {"threads": 2} and body["facts"] == {"bytes": 12}
    assert set(body["load_average"]) == {"before", "after"}
    assert body["machine"]["cores"] >= 1 and body["started"].endswith("+00:00")
    assert [path.name for path in out.parent.iterdir()] == ["r.json"]


def test_a_missed_goal_is_shown_and_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["--out", str(tmp_path / "r.json")]) == 0
    text = capsys.readouterr().out
    assert "goal met    fast: 1.500, at least 1.3" in text
    assert "goal MISSED lean: 1.500, at most 1" in text


def test_the_default_name_has_the_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert run([]) == 0
    (name,) = (path.name for path in tmp_path.iterdir())
    assert name.startswith("example-20") and len(name) == len("example-2026-01-01.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "6"], "expected a whole number from 7"),
        (["--rounds", "many"], "expected a whole number from 7"),
        (["--threads", "0"], "expected a whole number from 1"),
        (["--out", "."], "ends in .json"),
        (["--out", "r.txt"], "ends in .json"),
        (["--what"], "unrecognized arguments"),
    ],
)
def test_bad_options_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("error: ") and message in captured.err


def test_seven_rounds_are_enough():
    assert benchmark_parser("example", "").parse_args(["--rounds", "7"]).rounds == 7


def test_a_failed_measurement_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def fail(_: argparse.Namespace) -> Findings:
        raise ArtifactError("no file at x; expected y")

    parser = benchmark_parser("example", "")
    assert run_benchmark("example", parser, ["--out", str(tmp_path / "r.json")], fail) == 2
    assert list(tmp_path.iterdir()) == [] and "no file at x" in capsys.readouterr().err


def test_a_figure_that_is_no_number_is_not_written(tmp_path: Path):
    broken = Findings({}, {"a": [float("nan")] * 7})
    with pytest.raises(ValueError, match="JSON"):
        run(["--out", str(tmp_path / "r.json")], broken)
    assert list(tmp_path.iterdir()) == []


def test_table_columns_are_aligned():
    rows = [("long name", "1.0"), ("b", "10.0")]
    assert table_text(("name", "ms"), rows) == "name         ms\nlong name   1.0\nb          10.0"
