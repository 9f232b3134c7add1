"""Plots of known figures: what they draw, and that they are files that can be read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from benchmarks.experiments_pictures import Paired, PairExample
from benchmarks.experiments_plots import (
    draw_pairs,
    draw_plots,
    offset_figure,
    pair_figure,
    pairing_figure,
    pooling_figure,
)
from runtime.detections import Detections
from tests.benchmarks.experiment_facts import body

FACTS = body()["facts"]


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.experiments_plots.DOTS_PER_INCH", 30)


def lines_by_label(axes) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}


@pytest.fixture(name="example")
def pair_example() -> PairExample:
    boxes = np.array([[1, 2, 11, 22], [0, 0, 30, 30], [5, 5, 9, 9]], np.float32)
    found = Detections(boxes, np.full(3, 0.9, np.float32), np.zeros(3, np.int32))
    paired = Paired(found, np.array([False, True, False]), np.array([True, False, False]))
    nothing = Paired(Detections.empty(), np.zeros(0, bool), np.zeros(0, bool))
    return PairExample(np.full((32, 48, 3), 128, np.uint8), nothing, paired)


def test_every_plot_is_a_picture(tmp_path, example):
    drawn = [*draw_plots(FACTS, tmp_path), draw_pairs([example], tmp_path)]
    assert len({path.name for path in drawn}) == 5
    for path in drawn:
        image = cv2.imread(str(path))
        assert image is not None and image.std() > 5, path.name
    assert sorted(tmp_path.iterdir()) == sorted(drawn)


def test_without_runs_the_other_plots_are_drawn(tmp_path):
    names = {path.name for path in draw_plots(body(with_runs=False)["facts"], tmp_path)}
    assert len(names) == 3 and "experiments-corner-pooling.png" not in names


def test_a_picture_is_the_same_when_drawn_again(tmp_path, example):
    first, again = (draw_pairs([example], tmp_path / name).read_bytes() for name in "ab")
    assert first == again


def test_curves_are_means_over_the_seeds():
    curves, _ = pooling_figure(FACTS["corner_pooling"]).axes
    lines = lines_by_label(curves)
    assert lines["with corner pooling"] == pytest.approx([0.3, 0.6])
    assert lines["without corner pooling"] == pytest.approx([0.2, 0.4])


def test_pairing_shows_ap_and_the_share_of_wrong_pairs():
    precision, wrong = pairing_figure(FACTS["pairing"]).axes
    assert lines_by_label(precision)["shipped, crowded"] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    assert lines_by_label(precision)["runs, mean, ordinary"][0] == pytest.approx(0.6)
    assert lines_by_label(wrong)["shipped, crowded"] == pytest.approx([0, 10, 20, 30, 40])


def test_offsets_have_a_panel_for_each_kind_of_weights():
    figure = offset_figure(FACTS["offsets"])
    assert [axes.get_title() for axes in figure.axes] == ["shipped weights", "runs, a dot per seed"]
    assert len(offset_figure(body(with_runs=False)["facts"]["offsets"]).axes) == 1


def test_sizes_that_the_set_lacks_have_no_dots():
    axes = offset_figure(FACTS["offsets"]).axes[0]
    drawn = [value for line in axes.get_lines() for value in line.get_ydata()]
    assert min(drawn) >= 0


def test_boxes_are_drawn_by_what_they_are(example):
    figure = pair_figure([example])
    above, below = figure.axes
    assert above.get_title() == "by embedding: 0 wrong pairs"
    assert below.get_title() == "by score alone: 1 wrong pair"
    boxes = [patch for patch in below.patches if isinstance(patch, Rectangle)][1::2]
    assert [box.get_linestyle() for box in boxes] == ["-", "--", ":"]
    assert [boxes[0].get_width(), boxes[0].get_height()] == [10, 20]
    assert boxes[0].get_xy() == (0.5, 1.5)
