"""What a run tells while it goes on: a progress bar, JSON lines, and TensorBoard where asked."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from runtime.atomic_file import write_text

if TYPE_CHECKING:
    from detectors.training_board import TrainingBoard


class Meter:
    """Collects the steps between two records.

    Args:
        images_per_step: Images of a step, over all processes.
    """

    def __init__(self, images_per_step: int) -> None:
        self._images_per_step = images_per_step
        self._steps: list[Mapping[str, float]] = []
        self._busy_s = self._waited_s = 0.0

    def add(self, losses: Mapping[str, float], step_s: float, waited_s: float) -> None:
        """Note a step: its losses, its seconds, and those of them spent on waiting for data."""
        self._steps.append(losses)
        self._busy_s += step_s
        self._waited_s += waited_s

    def take(self) -> dict[str, float]:
        """Return the means since the last call, and begin anew; empty if there was no step."""
        if not self._steps:
            return {}
        means = {name: round(fmean(s[name] for s in self._steps), 5) for name in self._steps[0]}
        busy_s = max(self._busy_s, 1e-9)
        means["images_per_s"] = round(len(self._steps) * self._images_per_step / busy_s, 2)
        means["loader_share"] = round(self._waited_s / busy_s, 4)
        self._steps, self._busy_s, self._waited_s = [], 0.0, 0.0
        return means


class TrainingLog(contextlib.AbstractContextManager["TrainingLog"]):
    """The records of a run; use as a context.

    Args:
        path: JSON lines; a resumed run keeps the records up to its first step.
        first_step: Steps done before.
        last_step: Step to stop at.
        board: Where scalars go as well; None for nowhere.
        is_silent: Whether to write and show nothing, as all processes but the first do.
    """

    def __init__(
        self,
        path: Path,
        first_step: int,
        last_step: int,
        board: TrainingBoard | None = None,
        is_silent: bool = False,
    ) -> None:
        self._board = board
        self._started = time.monotonic()
        self._stream = None
        if not is_silent:
            write_text(path, _records_until(path, first_step))
            self._stream = path.open("a", encoding="utf-8")
        self._bar = tqdm(
            total=last_step,
            initial=first_step,
            unit="step",
            mininterval=2,
            dynamic_ncols=True,
            disable=True if is_silent else None,  # None shows it in terminals only
        )
        self._shown: dict[str, float] = {}

    def step(self) -> None:
        """Move the progress bar by one step."""
        self._bar.update()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a record.

        Args:
            step: Steps done.
            values: Figures by name; those that are not finite are left out.
        """
        if self._stream is None:
            return
        # JSON has no infinity; in float16, steps left out have a gradient of that length.
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        record: dict[str, Any] = {"step": step, "seconds": self.seconds, **values}
        self._stream.write(json.dumps(record) + "\n")
        self._stream.flush()
        if self._board:
            self._board.add_scalars(step, values)
        for label, name in (("loss", "total"), ("AP", "ap"), ("waiting", "loader_share")):
            if name in values:
                self._shown[label] = round(values[name], 3)
        self._bar.set_postfix(self._shown)

    @property
    def seconds(self) -> float:
        """Seconds since this session began."""
        return round(time.monotonic() - self._started, 1)

    def __exit__(self, *error: object) -> None:
        """Close the file, the bar and the board."""
        self._bar.close()
        if self._stream:
            self._stream.close()
        if self._board:
            self._board.close()


def _records_until(path: Path, step: int) -> str:
    """Return the lines of a log that a run resumed at ``step`` does not write again."""
    if step == 0 or not path.is_file():
        return ""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # cut short when the run was killed
            continue
        if record.get("step", 0) <= step:
            kept.append(line)
    return "".join(kept)
