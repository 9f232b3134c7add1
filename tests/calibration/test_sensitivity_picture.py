"""Ranked bars and the table: what is shown, in which order and unit."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from calibration.meters import Meter
from calibration.sensitivity_picture import MOST_BARS, draw_sensitivity, sensitivity_figure
from calibration.sensitivity_table import record, table
from calibration.sensitivity_trials import Part, Row, Sensitivity


def make_result(metric: str, count: int) -> Sensitivity:
    """Return a result whose i-th of ``count`` convolutions loses and gains i / 100."""
    meter = Meter(metric, 9, 0.8, lambda model: 0.0)
    parts = [Part(f"b.{i}/Conv", f"b.{i}", "b", (f"b.{i}/Conv",)) for i in range(count)]
    nodes = tuple(Row(part, i / 100, i / 100) for i, part in enumerate(parts))
    block = Part("b", "b", "b", tuple(part.name for part in parts))
    return Sensitivity(meter, 0.7, nodes, (Row(block, 0.5, 0.25),))


OPERATIONS = {f"b.{i}/Conv": 1 for i in range(100)}


def test_bars_are_ranked_and_in_points() -> None:
    figure = sensitivity_figure(make_result("ap", 3))
    blocks, _, losses, gains = figure.axes
    assert [text.get_text() for text in losses.get_yticklabels()] == ["b.2", "b.1", "b.0"]
    for panel in (losses, gains):
        assert [bar.get_width() for bar in panel.patches] == pytest.approx([2, 1, 0])
    assert [bar.get_width() for bar in blocks.patches] == pytest.approx([50])
    assert losses.get_xlabel() == "AP lost, points" and gains.get_xlabel() == "AP gained, points"
    bottom, top = losses.get_ylim()
    assert bottom > top  # the first bar is on top


def test_decibels_are_as_they_are() -> None:
    losses = sensitivity_figure(make_result("sqnr_db", 3)).axes[2]
    assert [bar.get_width() for bar in losses.patches] == pytest.approx([0.02, 0.01, 0])
    assert losses.get_xlabel() == "SQNR lost, dB"


def test_too_many_bars_are_cut_and_the_title_says_so() -> None:
    losses = sensitivity_figure(make_result("ap", MOST_BARS + 3)).axes[2]
    assert len(losses.patches) == MOST_BARS
    assert losses.get_title().endswith(f"first {MOST_BARS} of {MOST_BARS + 3}")


def test_the_picture_grows_with_the_bars(tmp_path: Path) -> None:
    heights = []
    for count in (2, 50):
        path = draw_sensitivity(make_result("ap", count), tmp_path / "deep" / f"{count}.png")
        heights.append(cv2.imread(str(path)).shape[0])
    assert heights[1] > heights[0] + 48 * 15
    assert len(list((tmp_path / "deep").iterdir())) == 2


def test_the_table_has_points_and_shares() -> None:
    lines = table(make_result("ap", 4), OPERATIONS).splitlines()
    assert lines[0] == "AP on 9 images: 0.8000 in float, 0.7000 in INT8"
    (line,) = [line for line in lines if line.startswith("b.3/Conv")]
    assert line.split() == ["b.3/Conv", "3.00", "3.00", "1.0", "%", "b.3"]
    (block,) = [line for line in lines if line.startswith("b ")]
    assert block.split() == ["b", "50.00", "25.00", "4.0", "%"]


def test_the_record_keeps_fractions() -> None:
    body = record(make_result("ap", 2), OPERATIONS)
    assert [row["only_int8"] for row in body["nodes"]] == [0.01, 0.0]
    assert body["blocks"] == [
        {
            "block": "b",
            "nodes": ["b.0/Conv", "b.1/Conv"],
            "only_int8": 0.5,
            "only_float": 0.25,
            "operations_percent": 2.0,
        }
    ]
