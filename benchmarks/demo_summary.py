r"""One page about the demo: accuracy in FP32 and INT8, speed of the stream, sizes, machine.

python -m benchmarks.demo_summary --folder build/demo --val build/shapes/val \
  --fp32 A.onnxruntime.onnx --int8 B.onnxruntime.onnx
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.artifact_pair import PRECISIONS, add_pair_arguments, read_pair
from benchmarks.demo_page import DemoSummary, StreamRecord, page
from detectors.dataset import CocoSet, read_coco
from detectors.evaluate import EVALUATION_OPTIONS, AveragePrecision, evaluate
from detectors.predict import model_from_artifact
from runtime.atomic_file import write_text
from runtime.command_line import CommandParser
from runtime.errors import DatasetError, UsageError, run_command
from runtime.machine_facts import load_average, machine_facts
from runtime.timing import StageSummary

FORMAT = "cornerrt-demo-1"
STREAM_FIGURES = "stream.json"
# What the demo leaves in its folder beside the two summaries.
DEMO_FILES = ("annotated.mp4", "contact_sheet.png", "detections.jsonl", STREAM_FIGURES)
COMMAND = "make demo"


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(
        prog="python -m benchmarks.demo_summary",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--folder", type=Path, required=True, help=f"has {STREAM_FIGURES}; receives the summaries")
    add("--val", type=Path, required=True, help="COCO-format folder to evaluate on")
    add_pair_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


def _run(options: argparse.Namespace) -> int:
    load_before = load_average()
    artifacts = {precision: getattr(options, precision) for precision in PRECISIONS}
    contracts = read_pair(artifacts)
    stream = read_stream(options.folder / STREAM_FIGURES)
    if stream.artifact_sha256 != contracts["int8"].artifact_sha256:
        raise UsageError(
            f"{options.folder / STREAM_FIGURES} is about artifact {stream.artifact_sha256[:12]}, "
            f"--int8 is {contracts['int8'].artifact_sha256[:12]}; expected the same; stream "
            f"again: {COMMAND}"
        )
    coco = read_coco(options.val)
    contract = contracts["int8"]
    summary = DemoSummary(
        model=contract.name,
        size_hw=contract.size_hw,
        validation_set=options.val.as_posix(),
        accuracy={p: evaluate_artifact(coco, path) for p, path in artifacts.items()},
        artifact_bytes={p: path.stat().st_size for p, path in artifacts.items()},
        stream=stream,
        files={name: size_of(options.folder / name) for name in DEMO_FILES},
        machine=machine_facts(),
        load_before=load_before,
        command=COMMAND,
    )
    text = page(summary)
    write_text(options.folder / "summary.json", summary_json(summary))
    write_text(options.folder / "summary.md", text)
    print(text)
    return 0


def read_stream(path: Path) -> StreamRecord:
    """Read what ``stream.py --summary-json`` wrote.

    Raises:
        UsageError: If the file is missing, is not JSON, or lacks a figure; names it.
    """
    remedy = f"make it: python runtime/stream.py ... --summary-json {path}"
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return _parse_stream(body)
    except FileNotFoundError:
        raise UsageError(f"no file at {path}; expected the stream's figures; {remedy}") from None
    except KeyError as error:
        raise UsageError(f"{path} has no {error}; expected all the figures; {remedy}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is malformed ({error}); {remedy}") from None


def _parse_stream(body: Mapping[str, Any]) -> StreamRecord:
    """Build the record from the JSON object; its numbers must be numbers."""
    fields = dataclasses.fields(StageSummary)
    stages = {
        stage: StageSummary(*(_number(figures[field.name]) for field in fields))
        for stage, figures in body["stages"].items()
    }
    return StreamRecord(
        source=str(body["source"]),
        backend=str(body["backend"]),
        precision=str(body["precision"]),
        artifact_sha256=str(body["artifact_sha256"]),
        frames=_number(body["frames"]),
        dropped=_number(body["dropped"]),
        detections=_number(body["detections"]),
        seconds=_number(body["seconds"]),
        frames_per_second=_number(body["frames_per_second"]),
        stages=stages,
    )


def _number(value: Any) -> Any:
    """Return an int or float as it is.

    Raises:
        TypeError: If it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"got {value!r}; expected a number")
    return value


def evaluate_artifact(coco: CocoSet, artifact: Path) -> AveragePrecision:
    """Return an artifact's average precision on a set.

    Raises:
        DatasetError: If the set has other classes than the artifact.
    """
    model = model_from_artifact(artifact, EVALUATION_OPTIONS)
    if model.class_names != coco.class_names:
        raise DatasetError(
            f"{coco.folder} has classes {', '.join(coco.class_names)}; {model.label} finds "
            f"{', '.join(model.class_names)}; evaluate on a set with the same classes"
        )
    return evaluate(coco, model.predict)


def size_of(path: Path) -> int | None:
    """Return a file's size in bytes, None if it is missing."""
    return path.stat().st_size if path.is_file() else None


def summary_json(summary: DemoSummary) -> str:
    """Return the page's figures for programs."""
    body = {
        "format": FORMAT,
        **dataclasses.asdict(summary),
        "difference": dataclasses.asdict(summary.difference()),
    }
    return json.dumps(body, indent=1, allow_nan=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
