"""Which artifact to run, on what, and how pictures reach it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from runtime.backends import BACKEND_NAMES
from runtime.command_line import positive, thread_count
from runtime.errors import UsageError
from runtime.flow import Batching, Dropping
from runtime.option_types import add_group, number_from

BUILD_FOLDER = Path("build")  # where `make engine` leaves its artifacts
BATCH_PATIENCE_MS = 5.0


@dataclass(frozen=True)
class ModelOptions:
    """What to run.

    Attributes:
        artifact: The model; None for the newest in ``build/`` that can run here.
        backend: What runs it, or "auto".
        threads: Processor threads; 0 for all cores.
        score: Lowest score shown, in [0, 1].
        max_frames: Stop after so many pictures, over all cameras; None for no limit.
        drop: What happens to pictures that nobody has time for.
        batch: Pictures per run of the network; None for what suits the engine.
        batch_wait_ms: How long a picture may wait for others to fill its batch.
    """

    artifact: Path | None
    backend: str
    threads: int
    score: float
    max_frames: int | None
    drop: Dropping
    batch: int | None
    batch_wait_ms: float

    @property
    def batching(self) -> Batching:
        """How cameras share one run of the network."""
        return Batching(self.batch, self.batch_wait_ms / 1e3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "model").add_argument
    add(
        "--artifact",
        metavar="PATH",
        type=Path,
        help=f"model to run; default: the newest in {BUILD_FOLDER}/ that can run here",
    )
    add(
        "--backend",
        choices=BACKEND_NAMES,
        default="auto",
        help="what runs it; default auto: what suits the artifact; synthetic: made-up boxes, "
        "without a network",
    )
    add(
        "--threads",
        type=thread_count,
        default=0,
        metavar="N",
        help="CPU threads; default: all cores",
    )
    add(
        "--score",
        type=number_from(0.0, 1.0),
        default=0.3,
        metavar="X",
        help="lowest score, 0 to 1; default 0.3",
    )
    add("--max-frames", type=positive, metavar="N", help="stop after N pictures")
    add(
        "--drop",
        type=_dropping,
        default=Dropping(),
        metavar="HOW",
        help="with more pictures than the network has time for: latest (default for cameras), "
        "block (default for files), or every-3, which looks at one of 3 only",
    )
    add(
        "--batch",
        type=positive,
        metavar="N",
        help="pictures of several cameras per run; default: as many as there are cameras, on an "
        "engine that was built for batches",
    )
    add(
        "--batch-wait-ms",
        type=number_from(0.0, 1000.0),
        default=BATCH_PATIENCE_MS,
        metavar="N",
        help=f"longest wait for others to fill a batch; default {BATCH_PATIENCE_MS:g}",
    )


def _dropping(text: str) -> Dropping:
    try:
        return Dropping.parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
