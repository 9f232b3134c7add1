"""JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.errors import OutputError
from runtime.line_files import Rotation
from runtime.sink_jsonl import JsonlSink
from tests.results import found, result


def test_json_lines_hold_one_record_per_picture(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(path)
    sink.publish(result(7, camera="gate", detections=found((1, 0.9), (0, 0.5))).without_picture())
    sink.publish(result(8, camera="yard"))
    assert not path.exists()
    sink.close()
    sink.close()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["camera"], first["frame"], first["image_hw"]) == ("gate", 7, [48, 64])
    assert [box["class_name"] for box in first["detections"]] == ["circle", "square"]
    assert (second["camera"], second["frame"], second["detections"]) == ("yard", 8, [])


def test_discarded_json_lines_leave_nothing(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "out.jsonl")
    sink.publish(result())
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_lines_of_a_camera_can_be_read_while_they_come(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(path, Rotation(10_000, None, 1))
    for sequence in range(3):
        sink.publish(result(sequence))
        assert json.loads(path.read_text().splitlines()[-1])["frame"] == sequence
    sink.discard()
    assert len(path.read_text().splitlines()) == 3


def test_lines_of_a_camera_rotate(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "out.jsonl", Rotation(1000, None, 2))
    for sequence in range(50):
        sink.publish(result(sequence))
    sink.close()
    names = ["out.jsonl.2", "out.jsonl.1", "out.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    lines = [line for name in names for line in (tmp_path / name).read_text().splitlines()]
    numbers = [json.loads(line)["frame"] for line in lines]
    assert numbers == list(range(numbers[0], 50))
    assert all((tmp_path / name).stat().st_size <= 1000 for name in names)


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--jsonl cannot write"):
        JsonlSink(tmp_path / "file" / "out.jsonl")
