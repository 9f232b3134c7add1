"""Keeps pictures of a stream as they came from the camera: to calibrate on, or to label."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.disk_budget import BudgetOptions, DiskBudget
from runtime.frames import FrameResult
from runtime.notices import notice_once
from runtime.output_faults import explained, remove_if_possible
from runtime.per_camera import file_label
from runtime.picture_files import encode_picture, write_complete


class RecordWhen(enum.Enum):
    """Which pictures are worth keeping; values are the command line's."""

    EVERY = "every"  # at a steady rate: to calibrate on
    UNCERTAIN = "uncertain"  # with a box that the network is unsure of: to label and train on


@dataclass(frozen=True)
class RecordingOptions:
    """What to record.

    Attributes:
        folder: Where pictures go; created.
        every: Keep at most one of so many pictures of a camera, at least 1.
        most: Keep at most so many in this recording, at least 1; None for no limit.
        when: Which of them.
        uncertain_scores: Lowest and highest score of a box that makes a picture uncertain, both
            included. Uncertainty sampling (Lewis and Gale 1994): the network learns most from
            pictures whose answer is nearest to a coin toss.
        budget: What the folder may hold.
    """

    folder: Path
    every: int
    most: int | None
    when: RecordWhen
    uncertain_scores: tuple[float, float]
    budget: BudgetOptions


class RecordingSink:
    """Writes some pictures to a folder, without boxes.

    Each file is complete when it has its name: UTC time of the start, the camera where there are
    several, and the picture's number, so that names sort by time and a second recording adds to the
    folder. When the limit or budget is reached it stops with a notice, and the stream goes on.

    Args:
        options: What to record.
        cameras: Names of all cameras.
        is_live: Whether there is a camera among them: what it delivered cannot be had again and
            stays also after ``discard``.

    Raises:
        OutputError: If the folder cannot be used.
    """

    name = "record"
    needs_picture = True
    in_main_thread = False

    def __init__(self, options: RecordingOptions, cameras: Sequence[str], is_live: bool) -> None:
        self._options = options
        self._several = len(cameras) > 1
        self._is_live = is_live
        self._started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        self._next_sequence: dict[str, int] = {}
        self._recorded = 0
        self._to_discard: list[Path] = []
        self._is_ended = False
        with explained(self.name, options.folder):
            options.folder.mkdir(parents=True, exist_ok=True)
            self._budget = DiskBudget(options.folder, options.budget)

    def publish(self, result: FrameResult) -> None:
        """Keep the picture, or not."""
        if self._is_ended or not self._is_due(result):
            return
        if self._options.most is not None and self._recorded >= self._options.most:
            self._end(f"its {self._options.most} pictures are recorded")
            return
        self._next_sequence[result.camera] = result.frame.sequence + self._options.every
        data = encode_picture(self.name, result.frame.image)
        path = self._path(result)
        with explained(self.name, path):
            problem = self._budget.make_room(len(data))
            if problem:
                self._end(problem)
                return
            write_complete(path, data)
        self._budget.add(path, len(data))
        self._recorded += 1
        if not self._is_live:
            self._to_discard.append(path)

    def close(self) -> None:
        """Say how many pictures there are."""
        self._is_ended = True
        if self._started:
            self._started = ""
            print(f"recorded {self._recorded} pictures in {self._options.folder}")

    def discard(self) -> None:
        """Remove the pictures of this recording, unless they are a camera's."""
        self._is_ended = True
        if self._started:
            for path in self._to_discard:
                remove_if_possible(path)
        self._started = ""

    def _is_due(self, result: FrameResult) -> bool:
        if result.frame.sequence < self._next_sequence.get(result.camera, 0):
            return False
        if self._options.when is RecordWhen.EVERY:
            return True
        low, high = self._options.uncertain_scores
        scores = result.detections.scores
        return bool(((scores >= low) & (scores <= high)).any())

    def _path(self, result: FrameResult) -> Path:
        camera = f"{file_label(result.camera)}-" if self._several else ""
        return self._options.folder / f"{self._started}-{camera}{result.frame.sequence:08d}.jpg"

    def _end(self, reason: str) -> None:
        self._is_ended = True
        notice_once(f"--record keeps no more pictures in {self._options.folder}: {reason}")
