"""What an evaluation tells: a table for the terminal, and every figure as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from detectors.average_precision import Scores
from detectors.dataset import CocoSet
from runtime.atomic_file import sha256_of

FORMAT = "cornerrt-evaluation-1"


@dataclass(frozen=True)
class Timing:
    """Where the time of an evaluation went.

    Attributes:
        seconds: From the first image to the last detection; 0 for detections that were given.
        read_ms: Per image: reading and decoding its file.
        network_ms: Per image: network and decoder; None where a predictor does not tell.
        other_ms: Per image: resizing before the network, suppression behind it.
    """

    seconds: float = 0.0
    read_ms: float = 0.0
    network_ms: float | None = None
    other_ms: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """The result of one evaluation.

    Attributes:
        label: What was evaluated.
        scores: Its figures.
        timing: Its time.
    """

    label: str
    scores: Scores
    timing: Timing


def table(result: Evaluation, per_class: bool) -> str:
    """Return the figures as aligned lines.

    Args:
        result: The evaluation.
        per_class: Whether to add a line for each class.
    """
    precision, recall, timing = result.scores.precision, result.scores.recall, result.timing
    lines = [f"{result.label}, {precision.images} images"]
    lines += _columns(
        ("AP", "AP50", "AP75", "AP-S", "AP-M", "AP-L"), list(asdict(precision).values())
    )
    lines += _columns(
        ("AR1", "AR10", "AR100", "AR-S", "AR-M", "AR-L"), list(asdict(recall).values())
    )
    if timing.seconds:
        network = "" if timing.network_ms is None else f", network {timing.network_ms:.1f}"
        lines.append(
            f"{timing.seconds:.1f} s; ms per image: read {timing.read_ms:.1f}{network}, "
            f"resizing and suppression {timing.other_ms:.1f}"
        )
    if per_class:
        lines += _class_lines(result.scores)
    return "\n".join(lines)


def _columns(names: tuple[str, ...], values: list[float]) -> list[str]:
    """Return a line of names over a line of figures."""
    pairs = list(zip(names, values, strict=False))
    head = "".join(f"{name:>8}" for name, _ in pairs)
    return [head, "".join(f"{_figure(value):>8}" for _, value in pairs)]


def _figure(value: float) -> str:
    """Return a figure; a dash where the set has no such object."""
    return "-" if value < 0 else f"{value:.3f}"


def _class_lines(scores: Scores) -> list[str]:
    """Return a line for each class, in the order of class ids."""
    width = max(len("class"), *(len(entry.name) for entry in scores.per_class))
    head = f"{'class':<{width}}{'AP':>8}{'AP50':>8}{'objects':>9}"
    return [head] + [
        f"{entry.name:<{width}}{_figure(entry.ap):>8}{_figure(entry.ap50):>8}{entry.objects:>9}"
        for entry in scores.per_class
    ]


def record(result: Evaluation, coco: CocoSet, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return every figure for JSON.

    Args:
        result: The evaluation.
        coco: The set it was made on.
        options: How it was made, as ``detectors.evaluation_options.options_record`` tells.
    """
    timing = {k: None if v is None else round(v, 3) for k, v in asdict(result.timing).items()}
    return {
        "format": FORMAT,
        "model": result.label,
        **asdict(result.scores.precision),
        **asdict(result.scores.recall),
        **timing,
        "per_class": [asdict(entry) for entry in result.scores.per_class],
        "options": dict(options),
        "data": {
            "annotations": coco.annotation_file.as_posix(),
            "sha256": sha256_of(coco.annotation_file),
            "images": len(coco.examples),
            "classes": len(coco.class_names),
        },
    }
