r"""One HTML page about what INT8 changes: accuracy, detections, scores, ranges, sensitivity.

python -m calibration.report --fp32 build/model-fp32.onnx --int8 build/model-int8.onnx \
  --fp16 build/model-fp16.onnx --data build/shapes/val --out report.html
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import onnxruntime
from onnx import ModelProto

from calibration.quantize_rules import label
from calibration.range_cache import default_cache_path, read_ranges
from calibration.report_accuracy import Findings, Result
from calibration.report_comparison import compare_detections
from calibration.report_extras import Latency, Sensitivity, read_latency, read_sensitivity
from calibration.report_inside import Ranges
from calibration.report_measure import (
    ImageSet,
    Measurement,
    measure,
    measure_if_possible,
    read_images,
)
from calibration.report_page import Report, page
from calibration.report_pictures import draw_cases
from calibration.report_ranges import thresholds_of, view_ranges
from calibration.report_subjects import (
    Int8Share,
    Subject,
    int8_share,
    load_graph,
    read_portable,
    read_subjects,
)
from calibration.report_uncertainty import standard_error
from runtime.atomic_file import sha256_of, write_text
from runtime.command_line import CommandParser, check_output, count, positive
from runtime.errors import CalibrationError, run_command

# Of the most damaged images; more than a dozen tell little new.
DEFAULT_WORST = 12
PRECISIONS = ("fp32", "fp16", "int8")


def build_parser() -> CommandParser:
    """Return the command line of ``python -m calibration.report``."""
    parser = CommandParser(
        prog="python -m calibration.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--fp32", type=Path, required=True, help="the FP32 model: portable ONNX or built artifact")
    add("--int8", type=Path, required=True, help="the INT8 model, likewise")
    add("--fp16", type=Path, help="the FP16 model, likewise")
    add("--data", type=Path, required=True, help="COCO-format folder, or its JSON file")
    add("--limit", type=positive, metavar="N", help="look at the first so many images only")
    add("--out", type=Path, required=True, help="the .html file to write")
    add("--worst", type=count, default=DEFAULT_WORST, metavar="N", help="damaged images to show")
    more = parser.add_argument_group("measured elsewhere")
    add = more.add_argument
    add("--ranges", type=Path, metavar="F.npz", help="default: the one beside a portable --int8")
    add("--onnx", type=Path, help="portable FP32 model, to count operations; default: --fp32")
    add("--sensitivity", type=Path, metavar="F.json", help="from python -m calibration.sensitivity")
    add(
        "--latency",
        type=Path,
        nargs="+",
        default=[],
        metavar="F.json",
        help="from benchmarks, or from python -m detectors.evaluate --json",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


def _run(options: argparse.Namespace) -> int:
    check_output("--out", options.out, ".html")
    files = {name: getattr(options, name) for name in PRECISIONS if getattr(options, name)}
    subjects = read_subjects(files)
    images = read_images(options.data, options.limit, subjects["fp32"].contract.class_names)
    graph = load_graph(subjects["int8"])
    share = _share(options.onnx, subjects, graph)
    # Whatever could be refused is, before minutes of measuring.
    sensitivity = _sensitivity(options.sensitivity, graph)
    latencies = _latencies(options.latency, subjects, images)
    ranges = _ranges(options.ranges, subjects["int8"], graph, images)
    results = _measure_all(subjects, images)
    fp32, int8 = results["fp32"], results["int8"]
    assert isinstance(fp32, Measurement) and isinstance(int8, Measurement)
    findings = Findings(
        standard_error(images, int8.rows, fp32.rows),
        share,
        compare_detections(images.coco, images.examples, fp32.rows, int8.rows),
    )
    worst = findings.comparison.worst()[: options.worst]
    report = Report(
        results,
        images,
        findings,
        draw_cases(worst, images.coco.class_names),
        ranges,
        sensitivity,
        latencies,
        f"onnxruntime {onnxruntime.__version__}, {datetime.date.today().isoformat()}",
    )
    write_text(options.out, page(report))
    print(_summary(options.out, fp32, int8))
    return 0


def _measure_all(subjects: Mapping[str, Subject], images: ImageSet) -> dict[str, Result]:
    """Run every model; FP16 may be one that nothing here can run."""
    return {
        precision: (measure_if_possible if precision == "fp16" else measure)(subject, images)
        for precision, subject in subjects.items()
    }


def _share(
    portable: Path | None, subjects: Mapping[str, Subject], graph: ModelProto | None
) -> Int8Share | None:
    """Return how much runs in INT8; None where the file does not tell."""
    if graph is None:
        return None
    return int8_share(graph, read_portable(portable, subjects["fp32"]))


def _sensitivity(path: Path | None, graph: ModelProto | None) -> Sensitivity | None:
    """Return what a sensitivity analysis found, None without one.

    Raises:
        CalibrationError: If the file is none, or of another network.
    """
    if path is None:
        return None
    found = read_sensitivity(path)
    analysed = {loss.name for loss in found.nodes}
    if graph is not None and analysed.isdisjoint(label(node) for node in graph.graph.node):
        raise CalibrationError(
            f"{path} is of {len(analysed)} convolutions, none of which the INT8 model has; "
            "expected an analysis of this model; make it again: make sensitivity"
        )
    return found


def _latencies(
    paths: list[Path], subjects: Mapping[str, Subject], images: ImageSet
) -> list[Latency]:
    digest = sha256_of(images.coco.annotation_file)
    return [entry for path in paths for entry in read_latency(path, subjects, digest)]


def _ranges(
    path: Path | None, subject: Subject, graph: ModelProto | None, images: ImageSet
) -> Ranges:
    """Return what is known of the calibration.

    Raises:
        CalibrationError: If a file of ranges is missing, damaged or of another model.
    """
    step = subject.step("calibrate")
    note = "" if step is None else step.note
    beside = default_cache_path(subject.path)
    found = path or (beside if beside.is_file() else None)
    if found is None:
        absence = f"No histograms: there is no {beside.name} beside the INT8 file; give --ranges."
        return Ranges(note, absence=absence)
    stored = read_ranges(found)
    thresholds = {} if graph is None else thresholds_of(graph)
    if not thresholds:
        return Ranges(note, absence="No histograms: the INT8 file does not name its thresholds.")
    calibrated = {digest for _, digest in stored.key.images}
    evaluated = {sha256_of(example.path) for example in images.examples}
    return Ranges(
        note,
        view_ranges(stored.observation.histograms, thresholds),
        images=len(stored.key.images),
        evaluated_too=len(calibrated & evaluated),
    )


def _summary(out: Path, fp32: Measurement, int8: Measurement) -> str:
    before, after = fp32.scores.precision.ap, int8.scores.precision.ap
    return (
        f"wrote {out}: {out.stat().st_size / 1e6:.1f} MB; AP FP32 {before:.4f}, INT8 {after:.4f} "
        f"({100 * (after - before):+.2f} points)"
    )


if __name__ == "__main__":
    sys.exit(main())
