r"""What INT8 costs: AP of FP32, FP16 and every way to INT8, beside onnxruntime's and ModelOpt's.

python -m benchmarks.int8_accuracy
python -m benchmarks.int8_accuracy --quick
python -m benchmarks.int8_accuracy --modelopt-python DIR/bin/python \
  --recipes "fast *" "good *" "best minmax *"

A recipe is an effort, a method for activations and a granularity of weights. Every seed takes its
own calibration images, for the recipes and for the others' tools alike. "AP" is that of the model
as it is written: integers are dequantized and convolved in float, which is what TensorRT computes
up to rounding. "AP in ONNX Runtime" is that of the build for processors, which quantizes more.
Behind an AP stands its standard deviation over seeds, behind a loss its standard error, which comes
from the losses on tenths of the images: differences below it are chance.

Finished models and figures are kept in --work and not made again. int8_peers_modelopt.py says how
to make an environment with ModelOpt.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from onnx import ModelProto

from benchmarks.int8_accuracy_bench import (
    Bench,
    Candidate,
    measure_candidate,
    open_bench,
    timed_call,
)
from benchmarks.int8_accuracy_recipes import Recipe, choose_recipes, recipe_candidates
from benchmarks.int8_accuracy_report import Study, run_study, study_parser
from benchmarks.int8_accuracy_tables import (
    FP16,
    FP32,
    Row,
    accuracy_table,
    goals_of,
    rows_by_label,
    summary_of,
)
from benchmarks.int8_peers import MODELOPT, ONNXRUNTIME, check_python, peer_candidates
from benchmarks.report import Findings
from calibration.effort import Effort
from calibration.options import default_method
from calibration.sessions import Form
from calibration.weights import Granularity
from export.precision import convert_to_fp16
from runtime.atomic_file import sha256_of
from runtime.command_line import CommandParser, positive

NAME = "int8_accuracy"
IMAGES = 200  # to calibrate with
QUICK_IMAGES, QUICK_LIMIT = 8, 20
# AP points that each way may lie below FP32.
TARGETS = {
    Recipe(effort, default_method(effort), Granularity.PER_CHANNEL).label: limit
    for effort, limit in ((Effort.GOOD, 0.3), (Effort.BEST, 0.1))
}


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = study_parser(NAME, __doc__)
    add = parser.add_argument
    add("--images", type=positive, default=IMAGES, metavar="N", help="to calibrate with")
    add("--recipes", nargs="+", default=["*"], metavar="PATTERN",
        help="our own ways, such as 'fast *' or 'best minmax *'; default: all")  # fmt: skip
    add("--without-peers", action="store_true", help="our own ways only")
    add("--modelopt-python", type=Path, metavar="F", help="Python of an environment with ModelOpt")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_study(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Study:
    if options.quick:
        options.images, options.limit = QUICK_IMAGES, QUICK_LIMIT
    options.recipes = choose_recipes(options.recipes)
    if options.modelopt_python is not None:
        check_python(options.modelopt_python)
    elif not options.without_peers:
        print("note: ModelOpt is left out; name its environment: --modelopt-python", flush=True)
    bench = open_bench(options)
    rows = [measure_candidate(bench, candidate) for candidate in candidates(bench, options)]
    return study_of(bench, options, rows)


def candidates(bench: Bench, options: argparse.Namespace) -> Iterator[Candidate]:
    """Yield everything that is measured: FP32, FP16, and per seed our own ways and the peers."""
    stamp = {"source": sha256_of(bench.source)}
    for label, convert in ((FP32, _unchanged), (FP16, _halved)):
        make = partial(timed_call, partial(convert, bench.model))
        yield Candidate(label, None, stamp, (Form.PORTABLE,), make)
    for number in options.seeds:
        images = bench.choose_images(options.images, number)
        yield from recipe_candidates(bench, images, number, options.recipes)
        if not options.without_peers:
            yield from peer_candidates(bench, images, number, options.modelopt_python)


def study_of(bench: Bench, options: argparse.Namespace, rows: Sequence[Row]) -> Study:
    """Bring single measurements together and judge the goals."""
    groups = rows_by_label(rows)
    (fp32,) = groups[FP32]
    summaries = {label: summary_of(group, fp32) for label, group in groups.items()}
    settings = {**bench.settings(), "calibration_images": options.images}
    samples = {
        label: [1e3 * row["seconds"] for row in group]
        for label, group in groups.items()
        if label not in (FP32, FP16)
    }
    goals = goals_of(rows, TARGETS, (ONNXRUNTIME, MODELOPT))
    facts = {"summaries": summaries, "rows": list(rows)}
    return Study(Findings(settings, samples, goals=goals, facts=facts), accuracy_table(summaries))


def _unchanged(model: ModelProto) -> ModelProto:
    return model


def _halved(model: ModelProto) -> ModelProto:
    """Return the portable FP16 export: rounded to half between operators, computed in single."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return convert_to_fp16(copy)


if __name__ == "__main__":
    sys.exit(main())
