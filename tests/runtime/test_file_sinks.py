"""Opening everything that writes files."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from runtime import (
    file_sinks,
    options_outputs,
    options_recording,
    options_snapshots,
)
from runtime.command_line import CommandParser
from runtime.errors import OutputError, UsageError
from runtime.file_sinks import CameraFacts, FileOptions, open_file_sinks
from runtime.option_types import group_from
from runtime.options_outputs import OutputOptions
from runtime.options_recording import RecordOptions
from runtime.options_snapshots import SnapshotOptions
from runtime.sinks import Sink
from tests.results import CLASS_NAMES, found, result
from tests.videos import read_video

CLIP = CameraFacts("clip.mp4", False, lambda: 25.0)
GATE = CameraFacts("gate", True, lambda: 30.0)
YARD = CameraFacts("back yard", True, lambda: 15.0)


def parse(text: str) -> FileOptions:
    parser = CommandParser(prog="x")
    for module in (options_outputs, options_recording, options_snapshots):
        module.add_arguments(parser)
    values = parser.parse_args(text.split())
    return FileOptions(
        group_from(OutputOptions, values),
        group_from(RecordOptions, values),
        group_from(SnapshotOptions, values),
    )


def everything(folder: Path) -> FileOptions:
    return parse(
        f"--save {folder}/o.mp4 --jsonl {folder}/o.jsonl --csv {folder}/o.csv --contact-sheet "
        f"{folder}/o.png --record {folder}/r --record-every 1 --snapshots {folder}/s"
    )


def run(sinks: list[Sink], cameras: list[CameraFacts]) -> None:
    for sequence in range(3):
        for camera in cameras:
            for sink in sinks:
                boxes = found((0, 0.9))
                shown = result(sequence, camera=camera.name, detections=boxes, seconds=sequence)
                sink.publish(shown)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_opened_unless_asked_for() -> None:
    with contextlib.ExitStack() as cleanup:
        assert open_file_sinks(parse(""), [CLIP], CLASS_NAMES, cleanup) == []


def test_everything_at_once_of_a_file(tmp_path: Path) -> None:
    with contextlib.ExitStack() as cleanup:
        sinks = open_file_sinks(everything(tmp_path), [CLIP], CLASS_NAMES, cleanup)
        names = [sink.name for sink in sinks]
        assert names == ["save", "jsonl", "csv", "contact-sheet", "record", "snapshots"]
        run(sinks, [CLIP])
        assert not (tmp_path / "o.jsonl").exists()
        for sink in sinks:
            sink.close()
    assert files(tmp_path) == ["o.csv", "o.jsonl", "o.mp4", "o.png", "r", "s"]
    assert len(read_video(tmp_path / "o.mp4")[0]) == 3
    assert len(files(tmp_path / "r")) == 3
    assert len(files(tmp_path / "s")) == 2


def test_after_an_error_no_output_of_a_file_stays(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="broken"),
        contextlib.ExitStack() as cleanup,
    ):
        sinks = open_file_sinks(everything(tmp_path), [CLIP], CLASS_NAMES, cleanup)
        run(sinks, [CLIP])
        raise RuntimeError("broken")
    assert files(tmp_path) == ["r", "s"]
    assert files(tmp_path / "r") == []
    assert len(files(tmp_path / "s")) == 2  # a snapshot is complete in itself


def test_several_cameras_have_a_video_each_and_lines_that_grow(tmp_path: Path) -> None:
    cameras = [GATE, YARD]
    with contextlib.ExitStack() as cleanup:
        sinks = open_file_sinks(everything(tmp_path), cameras, CLASS_NAMES, cleanup)
        run(sinks, cameras)
        assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 6
        assert len((tmp_path / "o.csv").read_text().splitlines()) == 7
        for sink in sinks:
            sink.close()
    expected = ["o-back-yard.mp4", "o-gate.mp4", "o.csv", "o.jsonl", "o.png", "r", "s"]
    assert files(tmp_path) == expected
    assert read_video(tmp_path / "o-gate.mp4")[1] == 30.0
    assert read_video(tmp_path / "o-back-yard.mp4")[1] == 15.0
    assert len(files(tmp_path / "r")) == 6


def test_a_stop_in_the_middle_keeps_what_cameras_delivered(tmp_path: Path) -> None:
    with contextlib.ExitStack() as cleanup:
        sinks = open_file_sinks(everything(tmp_path), [GATE], CLASS_NAMES, cleanup)
        run(sinks, [GATE])
    assert files(tmp_path) == ["o.csv", "o.jsonl", "o.mp4", "r", "s"]
    assert len(files(tmp_path / "r")) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--save {0}/file/o.mp4", "--save cannot write in"),
        ("--summary-json {0}/file/o.json", "--summary-json cannot write in"),
        ("--record {0}/file/r", "--record cannot write in"),
        ("--snapshots {0}/file/s", "--snapshots cannot write in"),
        ("--snapshots {0}/s --snapshot-class car", "--snapshot-class got 'car'"),
        ("--save {0}/taken.mp4", r"--save got .*taken-gate\.mp4, a folder"),
    ],
)
def test_what_cannot_work_is_one_error_before_the_stream(
    tmp_path: Path, arguments: str, message: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken-gate.mp4").mkdir()
    with contextlib.ExitStack() as cleanup, pytest.raises(UsageError, match=message):
        options = parse(arguments.format(tmp_path))
        open_file_sinks(options, [GATE, YARD], CLASS_NAMES, cleanup)


def test_what_was_opened_before_an_error_is_discarded(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("somebody else's\n")
    with contextlib.ExitStack() as cleanup, pytest.raises(OutputError, match="begins otherwise"):
        open_file_sinks(everything(tmp_path), [GATE], CLASS_NAMES, cleanup)
    assert (tmp_path / "o.csv").read_text() == "somebody else's\n"


def test_windows_know_the_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    class Window:
        def __init__(self, cameras: list[str]) -> None:
            shown.extend(cameras)

        def discard(self) -> None:
            shown.append("discarded")

    monkeypatch.setattr(file_sinks, "WindowSink", Window)
    with contextlib.ExitStack() as cleanup:
        open_file_sinks(parse("--show"), [GATE, YARD], CLASS_NAMES, cleanup)
    assert shown == ["gate", "back yard", "discarded"]
