"""The command: what it refuses, what it writes again, and once all of it on a tiny budget."""

from __future__ import annotations

import json

import pytest

import benchmarks.experiments as command
from benchmarks.experiments import build_parser, main, newest_result, write_document
from benchmarks.report import FORMAT
from runtime.errors import ArtifactError
from tests.benchmarks.experiment_facts import body

TABLES = (
    "budget",
    "anchors",
    "corners",
    "corner-pooling",
    "corner-pooling-seeds",
    "embeddings-crowded",
    "embeddings-ordinary",
    "offsets-shipped",
    "offsets-runs",
)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.experiments_plots.DOTS_PER_INCH", 30)


PAGE = "".join(f"<!-- table: {name} -->\n<!-- end of table -->\n" for name in TABLES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quick", "--write-docs"], "not allowed with argument"),
        (["--threads", "0"], "expected a whole number from 1"),
        (["--quick", "--out", "figures.txt"], "expected a name that ends in .json"),
    ],
)
def test_a_wrong_option_is_one_line(arguments, message, capsys, tmp_path):
    assert main([*arguments, "--work", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert list(tmp_path.iterdir()) == []


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert all(action.help for action in build_parser()._actions)
    assert "corner pooling, anchors, embeddings, offsets" in capsys.readouterr().out


def test_the_newest_result_is_the_latest_date(tmp_path):
    for date in ("2026-01-31", "2026-02-01", "2025-12-31"):
        (tmp_path / f"experiments-{date}.json").touch()
    (tmp_path / "streaming-2027-01-01.json").touch()
    assert newest_result(tmp_path).name == "experiments-2026-02-01.json"


def test_without_a_result_the_command_to_make_one_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="make experiments"):
        newest_result(tmp_path)


def test_the_document_is_written_from_a_result(tmp_path):
    document = tmp_path / "page.md"
    document.write_text(PAGE)
    write_document(body(), document, tmp_path / "images")
    assert "| with corner pooling" in document.read_text()
    assert len(list((tmp_path / "images").iterdir())) == 4


def test_write_docs_reads_the_newest_result_and_measures_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "DOCUMENT", tmp_path / "page.md")
    monkeypatch.setattr(command, "IMAGES", tmp_path / "images")
    (tmp_path / "page.md").write_text(PAGE)
    (tmp_path / "experiments-2026-01-02.json").write_text(json.dumps(body(with_runs=False)))
    assert main(["--write-docs"]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'page.md'}\n"


def test_a_document_that_lacks_a_place_stays_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "DOCUMENT", tmp_path / "page.md")
    monkeypatch.setattr(command, "IMAGES", tmp_path / "images")
    (tmp_path / "page.md").write_text("no places")
    (tmp_path / "experiments-2026-01-02.json").write_text(json.dumps(body()))
    assert main(["--write-docs"]) == 2
    assert "has places for no table" in capsys.readouterr().err
    assert (tmp_path / "page.md").read_text() == "no places"
    assert not (tmp_path / "images").exists()


@pytest.mark.slow
def test_everything_runs_on_a_tiny_budget_and_nothing_twice(tmp_path, capsys):
    out = tmp_path / "figures.json"
    arguments = ["--quick", "--work", str(tmp_path), "--out", str(out), "--threads", "1"]
    assert main(arguments) == 0
    first = json.loads(out.read_text())
    assert (first["format"], first["benchmark"]) == (FORMAT, "experiments")
    facts = first["facts"]
    assert [len(run["curve"]) for run in facts["corner_pooling"]] == [2, 2, 2, 2]
    assert {group["weights"] for group in facts["pairing"]} == {"shipped", "seed 1", "seed 2"}
    shipped = next(group for group in facts["offsets"] if group["weights"] == "shipped")
    assert shipped["rows"][0]["ap"] > 0.5  # the shipped weights find Shapes
    assert len(list((tmp_path / "quick").glob("experiments-*.png"))) == 5
    assert str(tmp_path) not in out.read_text()

    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "quick").rglob("*.safetensors")}
    assert main(arguments) == 0
    assert json.loads(out.read_text())["facts"] == facts
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
