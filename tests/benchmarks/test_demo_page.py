"""The page shows what was measured and says what is missing."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.demo_page import DemoSummary, StreamRecord, markdown_table, page
from detectors.evaluate import AveragePrecision
from runtime.timing import StageSummary

STAGES = {
    "network": StageSummary(9, 10.0, 10.5, 11.5, 12.5),
    "age": StageSummary(9, 30.0, 30.5, 31.5, 32.5),
}
SUMMARY = DemoSummary(
    model="tiny",
    size_hw=(64, 96),
    validation_set="val",
    accuracy={
        "fp32": AveragePrecision(0.8, 0.9, 0.85, 0.5, 0.8, -1.0, 500),
        "int8": AveragePrecision(0.794, 0.9, 0.86, 0.5, 0.8, -1.0, 500),
    },
    artifact_bytes={"fp32": 7_600_000, "int8": 2_000_000},
    stream=StreamRecord("clip.mp4", "onnxruntime", "int8", "ab", 300, 2, 900, 6.0, 50.0, STAGES),
    files={"annotated.mp4": 1500, "contact_sheet.png": None},
    machine={
        "cpu": "Chip",
        "cores": 2,
        "memory_gib": 4.0,
        "gpu": "none used",
        "system": "Linux",
        "python": "3.11",
        "libraries": {"numpy": "2"},
    },
    load_before=0.1,
    command="make demo",
)


def rows_of(text: str) -> dict[str, list[str]]:
    """Return the cells of all tables by their first column."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: others for first, *others in cells}


def test_the_page_shows_both_precisions_and_their_difference():
    rows = rows_of(page(SUMMARY))
    absent = "no such objects"
    assert rows["FP32"] == ["0.800", "0.900", "0.850", "0.500", "0.800", absent, "7.60"]
    assert rows["INT8"] == ["0.794", "0.900", "0.860", "0.500", "0.800", absent, "2.00"]
    assert rows["INT8 - FP32"] == [
        *("-0.006", "+0.000", "+0.010", "+0.000", "+0.000", absent, "-5.60")
    ]


def test_the_whole_way_comes_before_the_stages():
    text = page(SUMMARY)
    rows = rows_of(text)
    assert rows["capture to drawn frame"] == ["30.50", "31.50", "32.50"]
    assert rows["network"] == ["10.50", "11.50", "12.50"]
    assert text.index("| capture to drawn frame") < text.index("| network")
    assert "300 frames in 6.00 s, **50.0 FPS**, 2 dropped, 900 detections" in text


def test_what_is_missing_says_so():
    rows = rows_of(page(SUMMARY))
    assert rows["annotated.mp4"] == ["1.5"] and rows["contact_sheet.png"] == ["missing"]
    stream = dataclasses.replace(SUMMARY.stream, stages={"network": STAGES["network"]})
    rows = rows_of(page(dataclasses.replace(SUMMARY, stream=stream)))
    assert rows["capture to drawn frame"] == ["missing"] * 3


def test_machine_and_command_are_named_and_a_busy_machine_remarked_on():
    text = page(SUMMARY)
    assert "Chip, 2 cores" in text and "`make demo`" in text and "load average" not in text
    assert "load average 3 on 2 cores" in page(dataclasses.replace(SUMMARY, load_before=3.0))


def test_the_difference_of_absent_figures_is_absent():
    loss = SUMMARY.difference()
    assert loss.ap == pytest.approx(-0.006) and loss.ap_large is None


def test_markdown_columns_are_aligned():
    table = markdown_table(("", "ms"), [("a", "1.0"), ("long", "22.0")])
    assert table.splitlines() == [
        "|      |   ms |",
        "| ---- | ---: |",
        "| a    |  1.0 |",
        "| long | 22.0 |",
    ]
