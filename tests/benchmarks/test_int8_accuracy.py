"""The whole command on a tiny detector and a stand-in for ModelOpt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import int8_accuracy_report
from benchmarks.int8_accuracy import TARGETS, build_parser, main
from benchmarks.int8_accuracy_recipes import Recipe, choose_recipes
from calibration.effort import Effort
from calibration.ranges import RangeMethod
from calibration.weights import Granularity
from tests.benchmarks.tiny_detector import write_fake_python, write_study

FEW = ["--seeds", "1", "2", "--images", "3"]
FEW += ["--recipes", "fast mse per-channel", "good mse per-channel"]


def test_a_table_of_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, out = write_study(tmp_path), tmp_path / "r.json"
    python = write_fake_python(tmp_path)
    words += [*FEW, "--modelopt-python", str(python), "--out", str(out)]
    assert main(words) == 0
    body = json.loads(out.read_text())
    summaries = body["facts"]["summaries"]
    ours = Recipe(Effort.GOOD, RangeMethod.MSE, Granularity.PER_CHANNEL).label
    assert list(summaries)[:2] == ["FP32", "FP16, rounded between operators"]
    assert sum(name.startswith("onnxruntime") for name in summaries) == 2
    assert sum(name.startswith("ModelOpt") for name in summaries) == 4
    assert summaries[ours]["seeds"] == [1, 2]
    assert set(summaries[ours]) >= {"portable", "onnxruntime", "sqnr_db", "seconds"}
    assert len(body["facts"]["rows"]) == 2 + 2 * 8
    assert [goal["sense"] for goal in body["goals"]] == ["at most", "at least", "at least"]
    assert len(body["samples_ms"][ours]["values"]) == 2
    assert str(tmp_path) not in out.read_text()
    printed = capsys.readouterr().out
    assert "below FP32" in printed and ours in printed and "goal " in printed


def test_what_is_finished_is_not_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*write_study(tmp_path), *FEW, "--without-peers", "--out", str(tmp_path / "r.json")]
    assert main(words) == 0
    assert "quantizing" in capsys.readouterr().out
    first = json.loads((tmp_path / "r.json").read_text())
    assert main(words) == 0
    assert "quantizing" not in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["facts"] == first["facts"]


def test_quick_leaves_the_results_of_record_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(int8_accuracy_report, "RESULTS", tmp_path / "results")
    words = [*write_study(tmp_path, images=8), "--seeds", "1", "--quick"]
    assert main([*words, "--recipes", "fast minmax per-tensor"]) == 0
    (out,) = (tmp_path / "work" / "quick").glob("int8_accuracy-*.json")
    assert json.loads(out.read_text())["settings"]["calibration_images"] == 8
    assert not (tmp_path / "results").exists()
    assert "ModelOpt is left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--modelopt-python", "gone"], "which is no file"),
        (["--images", "9"], "expected at least 9"),
        (["--recipes", "fast *", "magic *"], "--recipes got 'magic *', which is none of the 24"),
        (["--out", "r.txt"], "ends in .json"),
        (["--data", "gone"], "gone"),
        (["--frobnicate"], "see: python -m benchmarks.int8_accuracy --help"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["--out", str(tmp_path / "r.json"), "--limit", "1"]
    assert main([*write_study(tmp_path), *first, *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error
    assert not (tmp_path / "r.json").exists()


def test_everything_is_measured_unless_asked_otherwise() -> None:
    options = build_parser().parse_args([])
    assert options.seeds == [1, 2, 3] and options.images == 200
    recipes = choose_recipes(options.recipes)
    assert len(set(recipes)) == len(Effort) * len(RangeMethod) * len(Granularity)
    assert set(TARGETS) <= {recipe.label for recipe in recipes}


def test_patterns_choose_recipes() -> None:
    best = [Recipe(Effort.BEST, RangeMethod.MSE, granularity) for granularity in Granularity]
    assert choose_recipes(["best mse *"]) == best
    assert choose_recipes(["best mse *", "*mse per-tensor"])[-1] in best
    assert len(choose_recipes(["fast *", "fast mse *"])) == len(RangeMethod) * len(Granularity)
