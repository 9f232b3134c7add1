"""Whether to offer figures to Prometheus, and where."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from runtime.option_types import add_group
from runtime.options_web import ServeAddress, serve_address


@dataclass(frozen=True)
class MetricsOptions:
    """Figures for Prometheus.

    Attributes:
        metrics: Where to listen for it; None for not at all.
    """

    metrics: ServeAddress | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "metrics").add_argument
    add(
        "--metrics",
        metavar="[ADDRESS:]PORT",
        type=serve_address,
        help="offer figures to Prometheus at http://ADDRESS:PORT/metrics; on 127.0.0.1 unless an "
        "address is given; the web view has them at /metrics, too",
    )
