"""The demo's page in Markdown: every figure on it was measured, and what is missing says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detectors.evaluate import AveragePrecision
from runtime.machine_facts import busy_remark, machine_line
from runtime.timing import StageSummary

# Column titles by field of AveragePrecision.
AP_COLUMNS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "AP small",
    "ap_medium": "AP medium",
    "ap_large": "AP large",
}
OVERALL_STAGE = "age"  # the stream's name for the time from capture to the drawn frame
OVERALL_TITLE = "capture to drawn frame"
ABSENT = "no such objects"
MISSING = "missing"


@dataclass(frozen=True)
class StreamRecord:
    """What the stream reported; see ``runtime.stream_report.summary_json``."""

    source: str
    backend: str
    precision: str
    artifact_sha256: str
    frames: int
    dropped: int
    detections: int
    seconds: float
    frames_per_second: float
    stages: dict[str, StageSummary]


@dataclass(frozen=True)
class PrecisionLoss:
    """INT8 less FP32 for each figure of ``AveragePrecision``; None where either is absent."""

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None


@dataclass(frozen=True)
class DemoSummary:
    """Everything on the page.

    Attributes:
        model: The network's name.
        size_hw: Height and width of its input, in pixels.
        validation_set: Where the evaluated images lie.
        accuracy: Average precision by "fp32" and "int8".
        artifact_bytes: File sizes, likewise.
        stream: What the stream reported.
        files: Size in bytes by name of what the demo left behind, None where missing.
        machine: From ``machine_facts``.
        load_before: Load average before the evaluation.
        command: What makes all this again.
    """

    model: str
    size_hw: tuple[int, int]
    validation_set: str
    accuracy: dict[str, AveragePrecision]
    artifact_bytes: dict[str, int]
    stream: StreamRecord
    files: dict[str, int | None]
    machine: dict[str, Any]
    load_before: float | None
    command: str

    def difference(self) -> PrecisionLoss:
        """Return what INT8 changes."""
        pairs = {
            name: (getattr(self.accuracy["int8"], name), getattr(self.accuracy["fp32"], name))
            for name in AP_COLUMNS
        }
        return PrecisionLoss(
            **{n: round(a - b, 5) if min(a, b) >= 0 else None for n, (a, b) in pairs.items()}
        )


def page(summary: DemoSummary) -> str:
    """Return the page."""
    height, width = summary.size_hw
    remark = busy_remark(summary.load_before, summary.machine["cores"])
    sections = (
        f"# Demo: {summary.model} at {height}x{width}",
        f"Measured on {machine_line(summary.machine)}. To do it again: `{summary.command}`.",
        remark,
        "## Accuracy",
        f"COCO average precision on the {summary.accuracy['fp32'].images} images of "
        f"`{summary.validation_set}`.",
        _accuracy_table(summary),
        "## Speed",
        _stream_sentence(summary.stream),
        _stage_table(summary.stream),
        f"A file is read ahead of the network: {OVERALL_TITLE} includes the wait in between.",
        "## Files",
        markdown_table(("file", "kB"), [(n, _kilobytes(s)) for n, s in summary.files.items()]),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, its columns aligned in the source too; numbers to the right."""
    widths = [max(3, *(len(row[i]) for row in (head, *rows))) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for first, *others in (head, rule, *rows):
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _accuracy_table(summary: DemoSummary) -> str:
    rows: list[tuple[str, ...]] = [
        (
            precision.upper(),
            *(_score(getattr(accuracy, name)) for name in AP_COLUMNS),
            f"{summary.artifact_bytes[precision] / 1e6:.2f}",
        )
        for precision, accuracy in summary.accuracy.items()
    ]
    sizes = summary.artifact_bytes
    loss = summary.difference()
    rows.append(
        (
            "INT8 - FP32",
            *(_difference(getattr(loss, name)) for name in AP_COLUMNS),
            f"{(sizes['int8'] - sizes['fp32']) / 1e6:+.2f}",
        )
    )
    return markdown_table(("", *AP_COLUMNS.values(), "artifact MB"), rows)


def _stream_sentence(stream: StreamRecord) -> str:
    return (
        f"{stream.precision.upper()} through `runtime/stream.py` on {stream.source}, backend "
        f"{stream.backend}: {stream.frames} frames in {stream.seconds:.2f} s, "
        f"**{stream.frames_per_second:.1f} FPS**, {stream.dropped} dropped, "
        f"{stream.detections} detections."
    )


def _stage_table(stream: StreamRecord) -> str:
    """List the whole way first, then the stages in their order."""
    others = [stage for stage in stream.stages if stage != OVERALL_STAGE]
    rows: list[tuple[str, ...]] = []
    for stage in (OVERALL_STAGE, *others):
        figures = stream.stages.get(stage)
        title = OVERALL_TITLE if stage == OVERALL_STAGE else stage
        if figures is None:
            rows.append((title, MISSING, MISSING, MISSING))
        else:
            values = (figures.p50_ms, figures.p95_ms, figures.p99_ms)
            rows.append((title, *(f"{value:.2f}" for value in values)))
    return markdown_table(("latency, ms", "p50", "p95", "p99"), rows)


def _score(value: float) -> str:
    return ABSENT if value < 0 else f"{value:.3f}"


def _difference(value: float | None) -> str:
    return ABSENT if value is None else f"{value:+.3f}"


def _kilobytes(size: int | None) -> str:
    return MISSING if size is None else f"{size / 1e3:.1f}"
