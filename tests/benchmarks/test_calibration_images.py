"""Growing numbers of images in one pass, and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.calibration_images import Growth, added_images, images_table, lines_of, main
from benchmarks.calibration_images_plot import Line, draw_lines, lines_figure
from calibration.observers import observe
from calibration.quantize import observable
from calibration.quantize_rules import EVERYWHERE
from tests.benchmarks.test_int8_accuracy_bench import open_tiny
from tests.benchmarks.tiny_detector import write_study

LINES = [
    Line("mse", {2: [79.0, 79.4], 4: [79.5, 79.7]}, {2: [20.0, 22.0], 4: [23.0, 23.0]}),
    Line("minmax", {2: [78.0], 4: [80.5]}, {2: [19.5], 4: [20.5]}),
]


def test_a_snapshot_is_what_so_many_images_alone_would_give(tmp_path: Path) -> None:
    bench = open_tiny(tmp_path)
    images = {number: bench.choose_images(number, 1) for number in (2, 5)}
    snapshots = Growth(bench, images).snapshots
    assert list(snapshots) == [2, 5] and snapshots[2].seconds <= snapshots[5].seconds
    tensors = observable(bench.model, EVERYWHERE)
    assert tensors
    for number, snapshot in snapshots.items():
        alone = observe(bench.model, tensors, images[number], number)
        for name in tensors:
            np.testing.assert_array_equal(snapshot.histograms[name].counts, alone[name].counts)
            assert snapshot.histograms[name].peak == alone[name].peak


def test_no_image_is_seen_twice(tmp_path: Path) -> None:
    bench = open_tiny(tmp_path)
    images = {number: bench.choose_images(number, 4) for number in (1, 3, 6)}
    added = added_images(images)
    assert [len(batches) for batches in added.values()] == [1, 2, 3]
    seen = [path for batches in added.values() for path in batches.paths]
    assert sorted(seen) == sorted(images[6].paths)


def test_rows_become_lines_and_a_table() -> None:
    rows = [
        {"method": line.label, "number": number, "ap": {"portable": ap / 100}, "sqnr_db": ratio}
        for line in LINES
        for number, values in line.points.items()
        for ap, ratio in zip(values, line.decibels[number], strict=True)
    ]
    lines = lines_of(rows)
    assert [line.label for line in lines] == ["mse", "minmax"]
    assert lines[0].points[2] == pytest.approx([79.0, 79.4])
    assert lines[0].decibels == LINES[0].decibels
    head, two, four = images_table(lines, 80.0).splitlines()
    assert head.split()[:6] == ["images", "mse", "below", "FP32", "SQNR", "dB"]
    assert two.split()[:8] == ["2", "79.20", "±", "0.28", "+0.80", "21.00", "±", "1.41"]
    assert two.split()[8:] == ["78.00", "+2.00", "19.50"]
    assert four.split()[-3:] == ["80.50", "-0.50", "20.50"]


def test_the_picture_shows_every_line_and_fp32(tmp_path: Path) -> None:
    axes, ratio = lines_figure(LINES, 80.0).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["FP32", "INT8, mse", "INT8, minmax"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2", "4"]
    means = [line.get_ydata() for line in axes.lines if line.get_label() == "INT8, mse"]
    np.testing.assert_allclose(means[0], [79.2, 79.6])
    means = [line.get_ydata() for line in ratio.lines if line.get_label() == "INT8, mse"]
    np.testing.assert_allclose(means[0], [21.0, 23.0])
    path = draw_lines(LINES, 80.0, tmp_path / "new" / "a.png")
    first = path.read_bytes()
    assert cv2.imread(str(path)) is not None and len(first) < 200_000
    assert draw_lines(LINES, 80.0, path).read_bytes() == first


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r.json"
    words = [*write_study(tmp_path), "--numbers", "4", "2", "--seeds", "1", "2", "--out", str(out)]
    assert main(words) == 0
    body = json.loads(out.read_text())
    assert body["settings"]["numbers"] == [2, 4] and body["settings"]["seeds"] == [1, 2]
    rows = body["facts"]["rows"]
    cells = {(row["method"], row["number"], row["seed"]) for row in rows}
    assert len(rows) == len(cells) == 2 * 2 * 2
    assert body["facts"]["fp32_points"] > 90
    assert (tmp_path / "r.png").is_file() and str(tmp_path) not in out.read_text()
    assert "below FP32" in capsys.readouterr().out
    assert main(words) == 0
    assert "quantizing" not in capsys.readouterr().out


def test_quick_draws_beside_its_figures(tmp_path: Path) -> None:
    assert main([*write_study(tmp_path), "--seeds", "1", "--quick"]) == 0
    folder = tmp_path / "work" / "quick"
    assert len(list(folder.glob("calibration_images-*.json"))) == 1
    assert len(list(folder.glob("calibration_images-*.png"))) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--numbers", "7"], "expected at least 7"),
        (["--numbers", "0"], "whole number from 1"),
        (["--picture", "p.txt"], "--picture got p.txt; expected a name that ends in .png"),
        (["--frobnicate"], "see: python -m benchmarks.calibration_images --help"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.json"
    assert main([*write_study(tmp_path), "--out", str(out), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error and not out.exists()
