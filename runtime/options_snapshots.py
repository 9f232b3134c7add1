"""When to keep a single picture with its record."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.disk_budget import BudgetOptions, WhenFull
from runtime.errors import UsageError
from runtime.option_types import add_group, number_from
from runtime.option_values import duration_in_s, one_of, size_in_bytes
from runtime.options_outputs import check_folder
from runtime.sink_snapshots import SnapshotEvent, SnapshotPicture, SnapshotSettings

COOLDOWN_S = 10.0  # an object that stays must not fill the folder
BUDGET = "1GB"


@dataclass(frozen=True)
class SnapshotOptions:
    """Pictures of events.

    Attributes:
        snapshots: The folder; None for no snapshots.
        snapshot_on: What causes one.
        snapshot_class: Names of the classes that count; empty for all.
        snapshot_score: Boxes below it do not count.
        snapshot_cooldown: Seconds without another of the same class at the same camera.
        snapshot_picture: With or without boxes.
        snapshot_budget: Most bytes in the folder; the oldest are deleted first.

    Raises:
        UsageError: On creation, if values contradict each other.
    """

    snapshots: Path | None
    snapshot_on: SnapshotEvent
    snapshot_class: list[str]
    snapshot_score: float
    snapshot_cooldown: float
    snapshot_picture: SnapshotPicture
    snapshot_budget: int

    def __post_init__(self) -> None:
        """Check what argparse cannot."""
        self.check_apart_from([])

    def check_apart_from(self, folders: Iterable[tuple[str, str | Path]]) -> None:
        """Refuse a folder that has another use, too, or a file; see ``check_folder``."""
        if self.snapshots is not None:
            check_folder("--snapshots", self.snapshots, folders)

    def check_tracking(self, tracks: bool, has_lines: bool) -> None:
        """Refuse events that cannot happen.

        Args:
            tracks: Whether objects are followed.
            has_lines: Whether there are lines to cross.

        Raises:
            UsageError: If snapshots wait for such an event.
        """
        if self.snapshots is None:
            return
        if self.snapshot_on is SnapshotEvent.TRACK and not tracks:
            raise UsageError("--snapshot-on track needs tracking; add --track")
        if self.snapshot_on is SnapshotEvent.CROSSING and not has_lines:
            raise UsageError("--snapshot-on crossing needs a line to cross; add --line")

    @property
    def settings(self) -> SnapshotSettings | None:
        """What the sink needs to know; None without snapshots."""
        if self.snapshots is None:
            return None
        return SnapshotSettings(
            folder=self.snapshots,
            event=self.snapshot_on,
            classes=tuple(self.snapshot_class),
            score=self.snapshot_score,
            cooldown_s=self.snapshot_cooldown,
            picture=self.snapshot_picture,
            budget=BudgetOptions(self.snapshot_budget, WhenFull.DROP_OLDEST),
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "snapshots").add_argument
    add("--snapshots", metavar="DIR", type=Path, help="keep a picture and its record of each event")
    add(
        "--snapshot-on",
        metavar="EVENT",
        type=one_of(SnapshotEvent),
        default=SnapshotEvent.DETECTION,
        help="detection (default): a box; track: a new object; crossing: an object crosses a line",
    )
    add(
        "--snapshot-class",
        metavar="NAME",
        action="append",
        default=[],
        help="of this class only; repeat for several",
    )
    add(
        "--snapshot-score",
        metavar="X",
        type=number_from(0.0, 1.0),
        default=0.0,
        help="boxes below it do not count; default: all that are shown do",
    )
    add(
        "--snapshot-cooldown",
        metavar="TIME",
        type=duration_in_s,
        default=COOLDOWN_S,
        help=f"until the next of the same class and camera; default {COOLDOWN_S:g}s",
    )
    add(
        "--snapshot-picture",
        metavar="WHICH",
        type=one_of(SnapshotPicture),
        default=SnapshotPicture.ANNOTATED,
        help="annotated (default), with boxes, or plain",
    )
    add(
        "--snapshot-budget",
        metavar="SIZE",
        type=size_in_bytes,
        default=size_in_bytes(BUDGET),
        help=f"most that the folder may hold; the oldest are deleted first; default {BUDGET}",
    )
