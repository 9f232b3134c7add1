"""The options of the evaluation: which go together, and what they mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.evaluation_options import (
    EVALUATION_OPTIONS,
    check_options,
    letterbox_options,
    option_parser,
    options_record,
    published_test,
)
from runtime.atomic_file import sha256_of
from runtime.errors import UsageError
from runtime.published_protocol import PublishedSuppression
from runtime.suppression import NmsMethod


def parse(*words: str):
    return option_parser().parse_args(["--data", "d", *words])


@pytest.mark.parametrize(
    "line",
    [
        "--weights w --flip --nms linear --iou-threshold 0.4 --batch 4 --size 64 64",
        "--weights w --protocol published --flip --scales 0.5 1 --nms merge --sigma 0.7",
        "--weights w --device cuda",
        "--artifact a --flip --nms hard",
        "--results r --per-class",
    ],
)
def test_these_go_together(line: str) -> None:
    check_options(parse(*line.split()))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "exactly one of .*; got none; give one"),
        ("--weights w --results r", "got --weights and --results; give one"),
        ("--results r --flip", "got --flip; the detections of --results are scored as they are"),
        ("--results r --score-threshold 0.1", "drop --score-threshold"),
        ("--results r --save-results s.json", "drop --save-results"),
        ("--artifact a --protocol published", "got --protocol; an artifact has a fixed input"),
        ("--artifact a --size 64 64", "drop --size"),
        ("--artifact a --batch 2", "drop --batch"),
        ("--artifact a --device cuda", "drop --device"),
        ("--weights w --protocol published --size 64 64", "images in their own size; drop --size"),
        ("--weights w --protocol published --batch 2", "drop --batch"),
        ("--weights w --scales 0.5 1", "got --scales; it belongs to the published protocol"),
        ("--weights w --nms merge", "got --nms merge; it belongs to the published protocol"),
        ("--weights w --json out.txt", "--json got out.txt; expected a name that ends in .json"),
        ("--weights w --save-results out", "--save-results got out; expected a name"),
    ],
)
def test_these_do_not(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_options(parse(*line.split()))


@pytest.mark.parametrize("line", ["--nms best", "--batch 0", "--device tpu", "--sigma x"])
def test_unknown_values_are_refused_by_the_parser(line: str) -> None:
    with pytest.raises(UsageError, match=line.split(maxsplit=1)[0]):
        parse("--weights", "w", *line.split())


def test_letterboxed_images_keep_what_ranking_needs() -> None:
    assert letterbox_options(parse("--weights", "w")) == EVALUATION_OPTIONS
    line = "--weights w --nms hard --iou-threshold 0.4 --sigma 0.7 --score-threshold 0"
    options = letterbox_options(parse(*line.split()))
    assert (options.method, options.iou_threshold) == (NmsMethod.HARD, 0.4)
    assert (options.sigma, options.score_threshold) == (0.7, 0.0)


def test_the_published_test_has_the_published_defaults() -> None:
    test = published_test(parse("--weights", "w", "--protocol", "published"))
    assert test.suppression == PublishedSuppression()
    assert (test.scales, test.flip) == ((1.0,), False)


def test_the_published_test_follows_the_options() -> None:
    line = "--weights w --protocol published --flip --scales 0.5 1 --nms merge --sigma 0.7"
    test = published_test(parse(*line.split(), "--score-threshold", "0.02"))
    assert (test.scales, test.flip) == ((0.5, 1.0), True)
    wanted = PublishedSuppression(NmsMethod.GAUSSIAN, 0.5, 0.7, 0.02, merge=True)
    assert test.suppression == wanted
    linear = published_test(parse("--weights", "w", "--nms", "linear")).suppression
    assert (linear.method, linear.merge) == (NmsMethod.LINEAR, False)


@pytest.mark.parametrize("line", ["--sigma 0", "--iou-threshold 2", "--score-threshold -1"])
@pytest.mark.parametrize("read", [letterbox_options, published_test])
def test_values_out_of_range_are_refused(line: str, read) -> None:
    with pytest.raises(UsageError, match="expected"):
        read(parse("--weights", "w", *line.split()))


def test_the_record_tells_file_and_options(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"weights")
    record = options_record(parse("--weights", str(path)))
    assert (record["sha256"], record["model"]) == (sha256_of(path), "cornernet-nano")
    assert (record["score_threshold"], record["nms"]) == (0.01, "gaussian")
    published = options_record(parse("--weights", str(path), "--protocol", "published"))
    assert published["score_threshold"] == 0.001
    assert options_record(parse("--results", str(path))).keys() == {"file", "sha256"}
