"""The options of ``stream.py``, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from runtime import (
    options_metrics,
    options_model,
    options_mqtt,
    options_outputs,
    options_recording,
    options_snapshots,
    options_sources,
    options_tracking,
    options_web,
)
from runtime.command_line import CommandParser
from runtime.file_sinks import FileOptions
from runtime.option_types import group_from
from runtime.options_metrics import MetricsOptions
from runtime.options_model import ModelOptions
from runtime.options_mqtt import MqttOptions
from runtime.options_outputs import OutputOptions
from runtime.options_recording import RecordOptions
from runtime.options_snapshots import SnapshotOptions
from runtime.options_sources import SourceOptions
from runtime.options_tracking import TrackingOptions
from runtime.options_web import WebOptions
from runtime.settings_file import Settings, add_config_arguments, read_settings

GROUPS: tuple[ModuleType, ...] = (
    options_sources,
    options_model,
    options_outputs,
    options_recording,
    options_snapshots,
    options_tracking,
    options_mqtt,
    options_metrics,
    options_web,
)


@dataclass(frozen=True)
class StreamOptions:
    """What to stream from where to where; each group's module explains its options.

    Raises:
        UsageError: On creation, if groups contradict each other.
    """

    sources: SourceOptions
    model: ModelOptions
    files: FileOptions
    tracking: TrackingOptions
    mqtt: MqttOptions
    metrics: MetricsOptions
    web: WebOptions

    def __post_init__(self) -> None:
        """Check what no group can check alone."""
        files = self.files
        inputs = [("--video", path) for path in self.sources.video]
        if self.model.artifact is not None:
            inputs.append(("--artifact", self.model.artifact))
        files.outputs.check_apart_from(inputs)
        folders: list[tuple[str, str | Path]] = [("--images", i) for i in self.sources.images]
        files.recording.check_apart_from(folders)
        if files.recording.record is not None:
            folders.append(("--record", files.recording.record))
        files.snapshots.check_apart_from(folders)
        tracks = self.tracking.track or bool(self.tracking.line)
        files.snapshots.check_tracking(tracks, bool(self.tracking.line))


def build_parser() -> CommandParser:
    """Return the parser of ``stream.py``; the titles of its groups are a settings file's tables."""
    parser = CommandParser(
        prog="stream.py",
        description="Find objects in the pictures of cameras, videos or folders, live.",
        allow_abbrev=False,  # a prefix means something else as soon as an option is added
        epilog="Every option can stand in a file, too: see --config and docs/streaming.md.",
    )
    add_config_arguments(parser)
    add = parser.add_argument
    add("--list-cameras", action="store_true", help="say what cameras there are, and end")
    add(
        "--doctor",
        action="store_true",
        help="say what this machine can do and what to install, and end",
    )
    for group in GROUPS:
        group.add_arguments(parser)
    return parser


def read_options(arguments: Sequence[str] | None = None) -> Settings:
    """Parse a command line and the file that it names; None means the process's own.

    Raises:
        UsageError: If it makes no sense.
    """
    return read_settings(build_parser(), arguments)


def options_from(settings: Settings) -> StreamOptions:
    """Return what to stream.

    Raises:
        UsageError: If values contradict each other; names the line where a file holds one.
    """
    namespace = settings.namespace
    with settings.errors_with_lines():
        return StreamOptions(
            sources=group_from(SourceOptions, namespace),
            model=group_from(ModelOptions, namespace),
            files=FileOptions(
                group_from(OutputOptions, namespace),
                group_from(RecordOptions, namespace),
                group_from(SnapshotOptions, namespace),
            ),
            tracking=group_from(TrackingOptions, namespace),
            mqtt=group_from(MqttOptions, namespace),
            metrics=group_from(MetricsOptions, namespace),
            web=group_from(WebOptions, namespace),
        )


def parse_options(arguments: Sequence[str] | None = None) -> StreamOptions:
    """Parse and check a command line; None means the process's own.

    Raises:
        UsageError: If it makes no sense.
    """
    return options_from(read_options(arguments))
