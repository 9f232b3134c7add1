"""What the accuracy gate is asked for."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from runtime.command_line import CommandParser, positive
from runtime.errors import UsageError


@dataclass(frozen=True)
class GateOptions:
    """What a quantized model must reach.

    Attributes:
        max_drop_points: Most that AP may fall below the float model's, in points (AP x 100).
        data: Annotated images: a COCO folder or its JSON file.
        limit: Use the first so many images only; None for all.
    """

    max_drop_points: float
    data: Path
    limit: int | None = None


def add_gate_options(parser: CommandParser) -> None:
    """Add the accuracy gate to a command line."""
    group = parser.add_argument_group("accuracy gate")
    add = group.add_argument
    add("--max-ap-drop", type=_points, metavar="POINTS", help="return to float until AP falls less")
    add("--gate-data", type=Path, metavar="COCO", help="annotated images to measure AP on")
    add("--gate-images", type=positive, metavar="N", help="use the first so many of them only")


def gate_options_from(arguments: argparse.Namespace) -> GateOptions | None:
    """Return the gate that was asked for, None for none.

    Raises:
        UsageError: If one option is given without the other.
    """
    budget, data = arguments.max_ap_drop, arguments.gate_data
    if (budget is None) is not (data is None):
        got, missing = ("--max-ap-drop", "--gate-data")[:: 1 if data is None else -1]
        raise UsageError(f"got {got} without {missing}; expected both or none; add {missing}")
    if budget is None:
        if arguments.gate_images:
            raise UsageError("got --gate-images without --max-ap-drop; add it and --gate-data")
        return None
    return GateOptions(budget, data, arguments.gate_images)


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not 0 <= points <= 100:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected AP points from 0 to 100")
    return points
