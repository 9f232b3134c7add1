"""The candidates compute the same, and each goal looks at the right figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.corner_pooling import GOAL_SHAPE, compare, cummax_pool, main
from plugins import reference


@pytest.mark.parametrize("direction", list(reference.WALKS))
def test_cummax_is_a_fair_opponent(direction: str):
    values = np.random.default_rng(0).standard_normal((2, 3, 5, 4), np.float32)
    pooled = cummax_pool(torch.from_numpy(values), direction)
    np.testing.assert_array_equal(pooled.numpy(), reference.corner_pool(values, direction))


def test_every_form_direction_and_layout_is_measured(tmp_path: Path):
    out = tmp_path / "r.json"
    words = ["--shape", "1", "2", "4", "4", "--rounds", "7", "--threads", "1", "--out", str(out)]
    assert main(words) == 0
    body = json.loads(out.read_text())
    labels = body["samples_ms"]
    for direction in reference.WALKS:
        assert {f"function body {direction}", f"NumPy {direction}"} <= set(labels)
        for layout in ("contiguous", "channels last"):
            for way in ("forward", "forward+backward"):
                rest = f"{direction} {layout} {way}"
                assert {f"operator {rest}", f"cummax {rest}"} <= set(labels)
                assert f"operator / cummax {rest}" in body["ratios"]
    assert all(len(figures["values"]) == 7 for figures in labels.values())
    # Two milliseconds are the goal at another size.
    assert not any("function body" in goal["name"] for goal in body["goals"])


def test_goals_are_the_median_time_and_the_ratio():
    samples = {
        "function body top": [2.0] * 6 + [50.0],
        "operator top contiguous forward": [1.0] * 7,
        "cummax top contiguous forward": [2.0] * 7,
        "NumPy top": [9.0] * 7,
    }
    goals = {goal.name: goal for goal in compare(samples, {"shape": GOAL_SHAPE}).goals}
    assert goals["function body top, ms"].value == 2.0 and goals["function body top, ms"].is_met
    assert goals["operator / cummax top contiguous forward"].value == 0.5
    assert len(goals) == 2


def test_an_empty_shape_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "r.json"
    assert main(["--shape", "1", "0", "4", "4", "--out", str(out)]) == 2
    assert "--shape got [1, 0, 4, 4]" in capsys.readouterr().err and not out.exists()
