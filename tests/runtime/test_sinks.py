"""What a stream relies on, of every sink that writes files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.contact_sheet import ContactSheetSink
from runtime.disk_budget import BudgetOptions, WhenFull
from runtime.line_files import Rotation
from runtime.options import build_parser
from runtime.per_camera import PerCamera
from runtime.recording import RecordingOptions, RecordingSink, RecordWhen
from runtime.sink_csv import CsvSink
from runtime.sink_jsonl import JsonlSink
from runtime.sink_snapshots import SnapshotEvent, SnapshotPicture, SnapshotSettings, SnapshotSink
from runtime.sink_video import VideoSink
from runtime.sinks import Sink
from tests.results import found, result

BUDGET = BudgetOptions(None, WhenFull.STOP, reserve_bytes=0)
ROTATION = Rotation(None, None, 1)


def video(folder: Path) -> Sink:
    return VideoSink(folder / "o.mp4", lambda: 25.0, keep_time=False)


def recording(folder: Path) -> Sink:
    options = RecordingOptions(folder, 1, None, RecordWhen.EVERY, (0.0, 1.0), BUDGET)
    return RecordingSink(options, ["clip.mp4"], is_live=False)


def snapshots(folder: Path) -> Sink:
    event, picture = SnapshotEvent.DETECTION, SnapshotPicture.PLAIN
    return SnapshotSink(SnapshotSettings(folder, event, (), 0.0, 0.0, picture, BUDGET))


SINKS: dict[str, Callable[[Path], Sink]] = {
    "video": video,
    "videos": lambda folder: PerCamera("save", {"clip.mp4": video(folder)}),
    "json": lambda folder: JsonlSink(folder / "o.jsonl"),
    "growing json": lambda folder: JsonlSink(folder / "o.jsonl", ROTATION),
    "csv": lambda folder: CsvSink(folder / "o.csv"),
    "growing csv": lambda folder: CsvSink(folder / "o.csv", ROTATION),
    "contact sheet": lambda folder: ContactSheetSink(folder / "o.png"),
    "recording": recording,
    "snapshots": snapshots,
}
STAYS_AFTER_DISCARD = frozenset({"growing json", "growing csv", "snapshots"})

every_sink = pytest.mark.parametrize("kind", SINKS)


@every_sink
def test_a_sink_is_named_after_its_option(tmp_path: Path, kind: str) -> None:
    sink = SINKS[kind](tmp_path)
    assert f"--{sink.name}" in build_parser().format_help()
    assert (type(sink.needs_picture), sink.in_main_thread) == (bool, False)
    sink.discard()


@every_sink
def test_what_is_closed_stays(tmp_path: Path, kind: str) -> None:
    sink = SINKS[kind](tmp_path)
    for sequence in range(3):
        shown = result(sequence, detections=found((0, 0.9)))
        sink.publish(shown if sink.needs_picture else shown.without_picture())
    sink.close()
    sink.close()
    sink.discard()
    assert all(path.stat().st_size > 0 for path in tmp_path.iterdir())
    assert {path.name for path in tmp_path.iterdir()}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@every_sink
def test_what_is_discarded_goes_unless_others_could_use_it(tmp_path: Path, kind: str) -> None:
    sink = SINKS[kind](tmp_path)
    sink.publish(result(detections=found((0, 0.9))))
    sink.discard()
    sink.discard()
    assert bool(list(tmp_path.iterdir())) == (kind in STAYS_AFTER_DISCARD)


@every_sink
def test_the_shared_picture_is_not_written_to(tmp_path: Path, kind: str) -> None:
    shown = result(detections=found((0, 0.9)))
    shown.frame.image.flags.writeable = False
    before = shown.frame.image.copy()
    sink = SINKS[kind](tmp_path)
    sink.publish(shown)
    sink.close()
    assert (shown.frame.image == before).all()
