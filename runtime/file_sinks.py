"""Opens everything that writes files, and the windows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.command_line import check_output
from runtime.contact_sheet import ContactSheetSink
from runtime.options_outputs import OutputOptions
from runtime.options_recording import RecordOptions
from runtime.options_snapshots import SnapshotOptions
from runtime.per_camera import PerCamera, camera_paths
from runtime.recording import RecordingSink
from runtime.sink_csv import CsvSink
from runtime.sink_jsonl import JsonlSink
from runtime.sink_snapshots import SnapshotSink, check_classes
from runtime.sink_video import VideoSink
from runtime.sink_window import WindowSink
from runtime.sinks import Sink
from runtime.video_encoders import prepare_encoders


@dataclass(frozen=True)
class CameraFacts:
    """What sinks need to know of a camera or file.

    Attributes:
        name: As in ``FrameResult.camera``.
        is_live: Whether it is a camera.
        frame_rate: Returns its pictures per second; not called before its first result.
    """

    name: str
    is_live: bool
    frame_rate: Callable[[], float]


@dataclass(frozen=True)
class FileOptions:
    """The groups of options that ask for files.

    Attributes:
        outputs: Videos, lines, rows, sheets, windows.
        recording: Pictures to calibrate on.
        snapshots: Pictures of events.
    """

    outputs: OutputOptions
    recording: RecordOptions
    snapshots: SnapshotOptions


def open_file_sinks(
    options: FileOptions,
    cameras: Sequence[CameraFacts],
    class_names: Sequence[str],
    cleanup: contextlib.ExitStack,
) -> list[Sink]:
    """Open the sinks that were asked for.

    Args:
        options: What was asked for.
        cameras: All cameras and files of the stream, at least one.
        class_names: Names by class id.
        cleanup: Discards at its end what was not closed.

    Raises:
        UsageError: If an output cannot be written, or a class is unknown.
        OutputError: If there is no display for ``--show``, or the like.
    """
    outputs = options.outputs
    names = [camera.name for camera in cameras]
    is_live = any(camera.is_live for camera in cameras)
    for option, path in outputs.files.items():
        check_output(option, path)  # some are written only at the end
    # A file's results are complete or not wanted; a camera's have no end.
    rotation = outputs.rotation if is_live else None
    sinks: list[Sink] = []

    def add(sink: Sink) -> None:
        sinks.append(sink)
        cleanup.callback(sink.discard)

    if outputs.save is not None:
        add(_video_sink(outputs.save, cameras))
    if outputs.jsonl is not None:
        add(JsonlSink(outputs.jsonl, rotation))
    if outputs.csv is not None:
        add(CsvSink(outputs.csv, rotation))
    if outputs.contact_sheet is not None:
        add(ContactSheetSink(outputs.contact_sheet))
    recording, settings = options.recording.recording, options.snapshots.settings
    if recording is not None:
        check_output("--record", recording.folder / "picture.jpg")
        add(RecordingSink(recording, names, is_live))
    if settings is not None:
        check_classes(settings.classes, tuple(class_names))
        check_output("--snapshots", settings.folder / "picture.jpg")
        add(SnapshotSink(settings))
    if outputs.show:
        add(WindowSink(names))
    return sinks


def _video_sink(path: Path, cameras: Sequence[CameraFacts]) -> Sink:
    """Return the sink of one camera, or one that holds a sink for each."""
    paths = camera_paths("save", path, [camera.name for camera in cameras])
    for mine in paths.values():
        check_output("--save", mine)
    prepare_encoders()
    videos: dict[str, Sink] = {
        camera.name: VideoSink(paths[camera.name], camera.frame_rate, keep_time=camera.is_live)
        for camera in cameras
    }
    return videos[cameras[0].name] if len(videos) == 1 else PerCamera("save", videos)
