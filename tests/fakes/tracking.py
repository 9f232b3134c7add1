"""Options, boxes and a tracker for tests of what happens after the network."""

from __future__ import annotations

import argparse
import builtins
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from runtime.detections import Detections
from runtime.frames import NO_PICTURE, Frame
from runtime.option_types import group_from
from runtime.options_tracking import TrackingOptions, add_arguments

RATE = 30.0


def tracking_options(*arguments: str) -> TrackingOptions:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return group_from(TrackingOptions, parser.parse_args(list(arguments)))


def boxes_at(
    centers_xy: Sequence[tuple[float, float]],
    size: float = 40.0,
    class_ids: Sequence[int] | None = None,
    score: float = 0.9,
) -> Detections:
    """Return square boxes around points, in pixels."""
    centers = np.array(centers_xy, np.float32).reshape(-1, 2)
    count = len(centers)
    return Detections(
        np.concatenate([centers - size / 2, centers + size / 2], axis=1).astype(np.float32),
        np.full(count, score, np.float32),
        np.array(class_ids if class_ids is not None else [0] * count, np.int32),
    )


def frame_at(number: int, rate: float = RATE) -> Frame:
    return Frame(NO_PICTURE, "test", number, round(number / rate * 1e9))


class ScriptedTracker:
    """Gives every box the id of its class plus 1, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[Detections, float]] = []

    def update(self, detections: Detections, time_s: float) -> np.ndarray:
        self.seen.append((detections, time_s))
        return detections.class_ids.astype(np.int64) + 1


def block_module(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Make a module look as if it were not installed."""
    for name in [*sys.modules]:
        if name == "runtime.tracker_bytetrack" or name.split(".")[0] == module:
            monkeypatch.delitem(sys.modules, name)
    real_import = builtins.__import__

    def refuse(name: str, *arguments: object, **keywords: object) -> object:
        if name.split(".", maxsplit=1)[0] == module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real_import(name, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
