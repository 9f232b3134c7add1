"""Tables of known figures, and the document's own tables against the newest result."""

from __future__ import annotations

import json

import pytest

from benchmarks.experiments import DOCUMENT, newest_result
from benchmarks.experiments_tables import (
    NOT_MEASURED,
    PLACE,
    experiment_tables,
    fill_tables,
    mean_text,
    pooling_table,
)
from benchmarks.report import RESULTS
from runtime.errors import UsageError
from tests.benchmarks.experiment_facts import body, run


def cells(table: str, first: str) -> list[str]:
    """Return the cells of the row that begins with ``first``."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()]
    (row,) = [row for row in rows if row[0] == first]
    return row[1:]


def test_the_document_shows_the_newest_result():
    tables = experiment_tables(json.loads(newest_result(RESULTS).read_text("utf-8")))
    text = DOCUMENT.read_text("utf-8")
    assert fill_tables(text, tables) == text, "run: python -m benchmarks.experiments --write-docs"


def test_corner_pooling_is_mean_and_deviation_and_gain_by_seed():
    table = experiment_tables(body())["corner-pooling"]
    assert cells(table, "with corner pooling")[0] == "0.600 ± 0.141"
    assert cells(table, "without corner pooling")[0] == "0.400 ± 0.000"
    assert cells(table, "gain, seed by seed")[0] == "+0.200 ± 0.141"
    assert cells(table, "gain published, on COCO") == ["+0.020", "-", "-", "-", "+0.024", "+0.036"]


def test_a_loss_is_shown_as_one():
    table = pooling_table([run("with", 1, 0.3), run("without", 1, 0.4)])
    assert cells(table, "gain, seed by seed")[0] == "-0.100"


def test_an_absent_size_is_named():
    runs = [run("with", 1, 0.3, ap_large=-1.0), run("without", 1, 0.4, ap_large=-1.0)]
    assert cells(pooling_table(runs), "with corner pooling")[-1] == "no such objects"
    assert cells(pooling_table(runs), "gain, seed by seed")[-1] == "no such objects"


def test_every_seed_has_its_row():
    table = experiment_tables(body())["corner-pooling-seeds"]
    assert cells(table, "seed 2") == ["0.700", "0.400", "+0.300"]


def test_pairing_sets_shipped_weights_beside_the_mean_of_the_runs():
    table = experiment_tables(body())["embeddings-crowded"]
    assert cells(table, "0.25") == ["0.900", "0", "100", "0.600 ± 0.141", "0", "100"]
    assert cells(table, "none")[1:3] == ["40", "100"]


def test_offsets_of_the_shipped_weights_and_of_the_runs():
    tables = experiment_tables(body())
    assert cells(tables["offsets-shipped"], "predicted")[0] == "0.900"
    assert cells(tables["offsets-runs"], "zero")[0] == "0.400 ± 0.141"
    assert cells(tables["offsets-runs"], "zero")[-1] == "no such objects"


def test_without_runs_the_tables_say_so():
    tables = experiment_tables(body(with_runs=False))
    for name in ("corner-pooling", "corner-pooling-seeds", "offsets-runs"):
        assert tables[name] == NOT_MEASURED
    assert cells(tables["embeddings-crowded"], "0.5")[3:] == ["-", "-", "-"]
    assert cells(tables["budget"], "time of a run, median") == ["-"]


def test_anchors_have_their_published_size_and_a_source():
    row = cells(experiment_tables(body())["anchors"], "SSD300")
    assert row == ["300x300: 8,732", "9,590", "24,656", "60,572", "arXiv:1512.02325, section 3.1"]


def test_the_budget_names_the_machine():
    table = experiment_tables(body())["budget"]
    assert cells(table, "time of a run, median") == ["1.5 minutes"]
    assert "Measured on 2026-01-02: Some CPU" in table


def test_one_value_has_no_spread_and_none_is_named():
    assert mean_text([0.25]) == "0.250"
    assert mean_text([-0.25], "+") == "-0.250"
    assert mean_text([0.5, -1.0]) == mean_text([], "+") == "no such objects"


PAGE = "a\n<!-- table: one -->\nold\n<!-- end of table -->\nb\n"


def test_places_are_filled_and_the_rest_stays():
    filled = fill_tables(PAGE, {"one": "new"})
    assert filled == "a\n<!-- table: one -->\n\nnew\n\n<!-- end of table -->\nb\n"
    assert fill_tables(filled, {"one": "new"}) == filled


@pytest.mark.parametrize("tables", [{}, {"two": "x"}, {"one": "x", "two": "y"}])
def test_a_place_without_a_table_and_a_table_without_a_place_are_refused(tables):
    with pytest.raises(UsageError, match="the document has places for one; expected"):
        fill_tables(PAGE, tables)


def test_the_document_has_a_place_for_every_table():
    named = [match[1] for match in PLACE.findall(DOCUMENT.read_text("utf-8"))]
    assert sorted(named) == sorted(experiment_tables(body()))
