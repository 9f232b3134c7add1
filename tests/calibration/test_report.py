"""The report command, end to end on small models: one sound page, or one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.report import main
from runtime.atomic_file import sha256_of
from tests.calibration.pages import check_self_contained
from tests.calibration.report_sets import (
    CALIBRATED,
    CLASS_NAMES,
    write_histograms,
    write_model,
    write_set,
)
from tests.calibration.test_report_extras import BENCHMARK, SENSITIVITY


class Bench:
    """A folder with models and images, and the command's arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = write_set(folder / "val")
        self.fp32 = write_model(folder / "fp32.onnx")
        self.int8 = write_model(
            folder / "int8.onnx", "int8", scores=(1.0, 0.3, 0.6), thresholds={"x": 1.0}
        )
        self.out = folder / "out" / "report.html"

    def run(self, *more: object) -> int:
        named = {"--fp32": self.fp32, "--int8": self.int8, "--data": self.data, "--out": self.out}
        argv = [part for pair in named.items() for part in pair]
        return main([str(part) for part in (*argv, *more)])


@pytest.fixture(name="bench")
def bench_folder(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def fails(bench: Bench, capsys: pytest.CaptureFixture[str], *more: object) -> str:
    assert bench.run(*more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert not bench.out.parent.exists() or list(bench.out.parent.iterdir()) == []
    return line


def test_the_page_is_sound_with_the_least_that_is_needed(bench, capsys):
    assert bench.run() == 0
    page = check_self_contained(bench.out.read_text(encoding="utf-8"))
    assert "INT8 report: tiny at 64\u00d764" in page.text
    assert "Of 8 objects that FP32 finds, INT8 loses 4;" in page.text
    assert "lost circle (FP32 0.63, INT8 0.24)" in page.text
    assert CLASS_NAMES[0] in page.text and CALIBRATED in page.text
    for missing in ("make sensitivity", "No histograms", "Give the JSON of a benchmark"):
        assert missing in page.text
    assert page.tags.count("img") == 12 and "b" not in page.tags
    assert "AP FP32 1.0000, INT8 1.0000" in capsys.readouterr().out


def test_everything_that_may_be_given_is_shown(bench, tmp_path):
    half = write_model(tmp_path / "fp16.onnx", "fp16", target="onnxruntime")
    ranges = write_histograms(tmp_path / "any.npz", {"x": np.linspace(0, 2, 99)})
    (tmp_path / "s.json").write_text(json.dumps(SENSITIVITY).replace("a/Conv", "mean"))
    (tmp_path / "l.json").write_text(json.dumps(BENCHMARK))
    status = bench.run(
        *("--fp16", half, "--ranges", ranges, "--sensitivity", tmp_path / "s.json"),
        *("--latency", tmp_path / "l.json", "--limit", 3, "--worst", 1),
    )
    assert status == 0
    page = check_self_contained(bench.out.read_text(encoding="utf-8"))
    assert "FP32, FP16, INT8 compared on 3 images" in page.text
    assert "1 of 3 damaged images" in page.text and page.tags.count("img") == 3
    assert "clip at 1, largest 2 49 % clipped" in page.text
    assert "points of AP" in page.text and "quantization: fp32" in page.text


def test_the_ranges_beside_the_model_are_found_and_checked_for_evaluated_images(bench):
    image = next((bench.data / "images").iterdir())
    calibrated = [("other.png", "0" * 64), (image.name, sha256_of(image))]
    write_histograms(bench.folder / "int8.ranges.npz", {"x": np.linspace(0, 2, 99)}, calibrated)
    assert bench.run() == 0
    page = check_self_contained(bench.out.read_text(encoding="utf-8"))
    assert "1 of the 2 calibration images are among those evaluated" in page.text


def test_half_precision_that_cannot_run_leaves_a_sentence(bench, tmp_path):
    engine = write_model(tmp_path / "e.engine", "fp16", target="tensorrt")
    assert bench.run("--fp16", engine) == 0
    page = check_self_contained(bench.out.read_text(encoding="utf-8"))
    assert "FP16 : not measured:" in page.text and "FP16 less FP32" not in page.text


def test_an_int8_model_that_finds_nothing_is_shown_as_such(bench):
    bench.int8 = write_model(bench.folder / "dead.onnx", "int8", scores=(0.0, 0.0, 0.0))
    assert bench.run() == 0
    page = check_self_contained(bench.out.read_text(encoding="utf-8"))
    assert "INT8 costs 100.00 AP points" in page.text
    assert "No detection from score 0.1 on is common" in page.text


def test_the_same_inputs_give_the_same_page(bench):
    assert bench.run() == 0
    first = bench.out.read_bytes()
    assert bench.run() == 0 and bench.out.read_bytes() == first


def test_a_missing_model(bench, capsys):
    bench.int8 = bench.folder / "none.onnx"
    assert "no file at" in fails(bench, capsys)


def test_a_model_of_another_network(bench, capsys):
    bench.int8 = write_model(bench.folder / "other.onnx", "int8", name="other")
    assert "is other at 64x64; expected tiny at 64x64" in fails(bench, capsys)


def test_models_in_the_wrong_places(bench, capsys):
    bench.fp32, bench.int8 = bench.int8, bench.fp32
    assert "is int8; expected fp32" in fails(bench, capsys)


def test_images_of_other_classes(bench, capsys):
    bench.data = write_set(bench.folder / "animals", names=("cat", "dog"))
    assert "has classes cat, dog" in fails(bench, capsys)


def test_missing_images(bench, capsys):
    bench.data = bench.folder / "none"
    assert "expected COCO annotations" in fails(bench, capsys)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--ranges", "no .*; expected the ranges"),
        ("--sensitivity", "expected the JSON of python -m calibration.sensitivity"),
        ("--latency", "expected the JSON of a benchmark"),
        ("--onnx", "no file at"),
    ],
)
def test_missing_extras(bench, capsys, option, message):
    line = fails(bench, capsys, option, bench.folder / "none.json")
    assert message.replace("no .*; ", "") in line


def test_ranges_of_another_model(bench, capsys):
    ranges = write_histograms(bench.folder / "any.npz", {"y": np.ones(3)})
    assert "none of which the INT8 model quantizes" in fails(bench, capsys, "--ranges", ranges)


def test_the_sensitivity_of_another_model(bench, capsys):
    (bench.folder / "s.json").write_text(json.dumps(SENSITIVITY))
    line = fails(bench, capsys, "--sensitivity", bench.folder / "s.json")
    assert "is of 1 convolutions, none of which the INT8 model has; expected an analysis" in line


def test_an_unreadable_image(bench, capsys):
    next((bench.data / "images").iterdir()).write_bytes(b"\x89PNG")
    assert ".png" in fails(bench, capsys)


@pytest.mark.parametrize(
    ("more", "message"),
    [(("--worst", "-1"), "--worst"), (("--limit", "0"), "--limit"), (("--out", "a.txt"), ".html")],
)
def test_bad_options(bench, capsys, more, message):
    assert message in fails(bench, capsys, *more)
