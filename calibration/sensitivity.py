r"""Where INT8 costs accuracy: every convolution and block alone in INT8, and alone back in float.

python -m calibration.sensitivity --onnx build/model-fp32.onnx --images calibration/ --out s.json
python -m calibration.sensitivity --onnx build/model-fp32.onnx --images calibration/ \
  --metric ap --data val/ --limit 100 --out s.json --picture s.png
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import onnxruntime
from onnx import ModelProto
from tqdm import tqdm

from calibration.accuracy import AccuracyMeter, open_meter
from calibration.calibrate import make_quantizable, read_float_contract
from calibration.measurement_store import MeasurementStore
from calibration.meters import ap_meter, sqnr_meter
from calibration.observation import UNCACHED
from calibration.operations import multiply_adds
from calibration.options import (
    add_quantization_options,
    add_range_options,
    options_from,
    samples_from,
)
from calibration.quantize import quantize_model
from calibration.samples import choose_samples
from calibration.sensitivity_picture import draw_sensitivity
from calibration.sensitivity_table import record, table
from calibration.sensitivity_trials import Part, Trials, measure_sensitivity
from calibration.sessions import Form, form_for
from export.onnx_graph import load_model
from runtime.atomic_file import sha256_of, write_text
from runtime.command_line import CommandParser, check_output, positive, thread_count
from runtime.contract import ModelContract
from runtime.errors import UsageError, run_command
from runtime.image_batches import ImageBatches

# Suffix of the file beside the result that keeps finished measurements.
STORE_SUFFIX = ".measured.json"


def build_parser() -> CommandParser:
    """Return the command line of ``python -m calibration.sensitivity``."""
    parser = CommandParser(
        prog="python -m calibration.sensitivity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--onnx", type=Path, required=True, help="the FP32 model from export")
    add("--images", required=True, help="to find ranges on: folder, COCO folder, pattern or image")
    add("--out", type=Path, required=True, help="the JSON file to write")
    add("--picture", type=Path, metavar="PNG", help="also draw ranked bars")
    add("--metric", choices=("sqnr", "ap"), default="sqnr", help="quick, or what counts")
    add("--data", type=Path, help="annotated images for ap: COCO folder or its JSON file")
    add("--limit", type=positive, metavar="N", help="use the first so many of them only")
    add("--threads", type=thread_count, default=0, help="of the network; 0 for all cores")
    add_range_options(parser)
    add_quantization_options(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    contract = read_float_contract(arguments.onnx)
    images = choose_samples(samples_from(arguments), contract.size_hw)
    options = options_from(arguments)
    form = form_for(options.placement.target, options.base)
    accuracy = _open_accuracy(arguments, contract, form)
    model = load_model(arguments.onnx)
    operations = multiply_adds(model)
    source = make_quantizable(model, contract, images, options)
    whole, _ = quantize_model(source, options.placement)
    store = _open_store(arguments, images, accuracy, whole)
    if accuracy is None:
        meter = sqnr_meter(model, images, form, arguments.threads)
    else:
        meter = ap_meter(accuracy, model)
    trials = Trials(source, options.placement, meter, store)
    result = measure_sensitivity(trials, _progress)
    print(table(result, operations))
    write_text(arguments.out, json.dumps(record(result, operations), indent=1) + "\n")
    written = str(arguments.out)
    if arguments.picture:
        written += f" and {draw_sensitivity(result, arguments.picture)}"
    print(f"\nwrote {written}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict each other, before any work.

    Raises:
        UsageError: If they do, or an output could not be written.
    """
    check_output("--out", arguments.out, ".json")
    if arguments.picture:
        check_output("--picture", arguments.picture, ".png")
    if arguments.metric == "ap" and arguments.data is None:
        raise UsageError("--metric ap got no --data; expected annotated images; name a COCO folder")
    if arguments.metric == "sqnr" and (arguments.data or arguments.limit):
        raise UsageError(
            "got --data or --limit without --metric ap; they name its images; add --metric ap"
        )


def _open_accuracy(
    arguments: argparse.Namespace, contract: ModelContract, form: Form
) -> AccuracyMeter | None:
    """Open the annotated images; None for another metric."""
    if arguments.metric != "ap":
        return None
    return open_meter(arguments.data, contract, form, arguments.limit, arguments.threads)


def _open_store(
    arguments: argparse.Namespace,
    images: ImageBatches,
    accuracy: AccuracyMeter | None,
    whole: ModelProto,
) -> MeasurementStore:
    """Open the file of finished measurements; says where it begins anew, and why.

    The model with everything in INT8 holds all weights, ranges and placements: where it is the
    same, every trial is. The other parts of the key tell what changed.
    """
    options = replace(options_from(arguments), observation=UNCACHED)
    key = {
        "model": sha256_of(arguments.onnx),
        "images": images.digest(),
        "options": hashlib.sha256(repr(options).encode()).hexdigest(),
        "quantized model": hashlib.sha256(whole.SerializeToString(deterministic=True)).hexdigest(),
        "annotations": sha256_of(accuracy.coco.annotation_file) if accuracy else "none",
        "annotated images": accuracy.digest() if accuracy else "none",
        "metric": f"{arguments.metric} on {arguments.limit or 'all'}",
        "onnxruntime": onnxruntime.__version__,
    }
    path = arguments.out.with_name(f"{arguments.out.stem}.{arguments.metric}{STORE_SUFFIX}")
    store = MeasurementStore(path, key)
    if store.changed:
        changed = ", ".join(store.changed)
        print(f"note: {path} is of another {changed}; measuring anew", file=sys.stderr)
    elif len(store):
        print(f"note: {path} has {len(store)} measurements; going on", file=sys.stderr)
    return store


def _progress(parts: Sequence[Part]) -> tqdm[Part]:
    """Return the parts with a bar and the time left, where somebody watches."""
    silent = not sys.stderr.isatty()
    return tqdm(parts, desc="measuring", unit="part", disable=silent, leave=False)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
