"""One row per box."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import OutputError
from runtime.line_files import Rotation
from runtime.sink_csv import COLUMNS, CsvSink
from runtime.tracks import Tracks
from tests.results import found, result


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_every_box_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    sink = CsvSink(path)
    sink.publish(result(7, seconds=1.5, camera="gate", detections=found((1, 0.9), (0, 0.5))))
    sink.publish(result(8))
    assert not path.exists()
    sink.close()
    first, second = rows(path)
    assert tuple(first) == COLUMNS
    assert first.pop("time").endswith("Z")
    assert first == {
        **{"camera": "gate", "frame": "7", "source": "gate", "captured_ns": "1500000000"},
        **{"image_height": "48", "image_width": "64", "class_name": "circle", "class_id": "1"},
        **{"score": "0.9", "x1": "0.0", "y1": "0.0", "x2": "5.0", "y2": "5.0", "track_id": ""},
    }
    assert (second["class_name"], second["score"]) == ("square", "0.5")


def test_rows_have_the_object_they_belong_to(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "out.csv")
    boxes = found((1, 0.9), (0, 0.5))
    sink.publish(result(detections=boxes, tracks=Tracks(np.int64([12, -1]))))
    sink.close()
    assert [row["track_id"] for row in rows(tmp_path / "out.csv")] == ["12", ""]


def test_names_may_hold_any_letter(tmp_path: Path) -> None:
    name = 'a "b", c\nd'
    sink = CsvSink(tmp_path / "out.csv")
    sink.publish(replace(result(camera=name, detections=found((0, 0.5))), class_names=("ü;", "x")))
    sink.close()
    (row,) = rows(tmp_path / "out.csv")
    assert (row["camera"], row["class_name"]) == (name, "ü;")
    assert (tmp_path / "out.csv").read_bytes().count(b"\r\n") == 2


def test_a_table_without_boxes_has_a_header(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "out.csv")
    sink.publish(result())
    sink.close()
    assert (tmp_path / "out.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_rows_of_a_camera_rotate_and_each_file_has_a_header(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "out.csv", Rotation(600, None, 3))
    for sequence in range(20):
        sink.publish(result(sequence, detections=found((0, 0.5))))
    sink.discard()
    numbers = [
        int(row["frame"])
        for name in ("out.csv.3", "out.csv.2", "out.csv.1", "out.csv")
        for row in rows(tmp_path / name)
    ]
    assert numbers == list(range(numbers[0], 20))


def test_a_later_stream_adds_to_the_table(tmp_path: Path) -> None:
    for sequence in range(2):
        sink = CsvSink(tmp_path / "out.csv", Rotation(None, None, 1))
        sink.publish(result(sequence, detections=found((0, 0.5))))
        sink.close()
    assert [row["frame"] for row in rows(tmp_path / "out.csv")] == ["0", "1"]


def test_another_table_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("name,price\n")
    with pytest.raises(OutputError, match="begins otherwise"):
        CsvSink(tmp_path / "out.csv", Rotation(None, None, 1))


def test_discarded_rows_leave_nothing(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "out.csv")
    sink.publish(result(detections=found((0, 0.5))))
    sink.discard()
    assert list(tmp_path.iterdir()) == []
