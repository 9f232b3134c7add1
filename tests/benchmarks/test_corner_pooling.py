"""The candidates compute the same, and each goal looks at the right figure."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from benchmarks.corner_pooling import SHAPES, build_parser, compare, main
from plugins import reference


def test_every_form_direction_layout_and_shape_is_measured(tmp_path: Path):
    out = tmp_path / "r.json"
    shapes = ["--shape", "1", "2", "4", "4", "--shape", "2", "1", "3", "5"]
    assert main([*shapes, "--rounds", "7", "--threads", "1", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    labels = body["samples_ms"]
    for shape, direction in itertools.product(("1x2x4x4", "2x1x3x5"), reference.WALKS):
        assert {f"function body {shape} {direction}", f"NumPy {shape} {direction}"} <= set(labels)
        for layout in ("contiguous", "channels last"):
            for way in ("forward", "forward+backward"):
                rest = f"{shape} {direction} {layout} {way}"
                assert {f"{name} {rest}" for name in ("operator", "cummax", "log-step")} <= set(
                    labels
                )
                for opponent in ("cummax", "log-step"):
                    assert f"operator / {opponent} {rest}" in body["ratios"]
    assert all(len(figures["values"]) == 7 for figures in labels.values())
    # Two milliseconds are the goal at another size.
    assert not any("function body" in goal["name"] for goal in body["goals"])


def test_the_sizes_to_detect_and_to_train_with_are_the_default():
    assert SHAPES == ((1, 128, 128, 128), (8, 128, 128, 128))
    assert build_parser().parse_args([]).shape is None


def test_goals_are_the_median_time_and_the_ratios():
    rest = "1x128x128x128 top"
    samples = {
        f"function body {rest}": [2.0] * 6 + [50.0],
        f"operator {rest} contiguous forward": [1.0] * 7,
        f"cummax {rest} contiguous forward": [2.0] * 7,
        f"log-step {rest} contiguous forward": [0.5] * 7,
        f"NumPy {rest}": [9.0] * 7,
        "function body 8x128x128x128 top": [9.0] * 7,
    }
    goals = {goal.name: goal for goal in compare(samples, {}).goals}
    assert goals[f"function body {rest}, ms"].value == 2.0
    assert goals[f"function body {rest}, ms"].is_met
    assert goals[f"operator / cummax {rest} contiguous forward"].value == 0.5
    slower = goals[f"operator / log-step {rest} contiguous forward"]
    assert slower.value == 2.0 and not slower.is_met
    assert len(goals) == 3


def test_an_empty_shape_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "r.json"
    assert main(["--shape", "1", "0", "4", "4", "--out", str(out)]) == 2
    assert "--shape got [1, 0, 4, 4]" in capsys.readouterr().err and not out.exists()
