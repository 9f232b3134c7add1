r"""The time below which a device cannot run a network, and what a change would buy.

python -m export.roofline --model cornernet-squeeze --device orin-nano
python -m export.roofline --onnx build/model-int8.onnx --device agx-orin --measured profile.json

Needs no GPU: operations and bytes are counted from the graph, peaks come from datasheets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from detectors.registry import DETECTORS
from export.byte_counts import PRECISION_BYTES
from export.device_peaks import DEVICES, find_device
from export.device_record import CUSTOM, Device, read_device, with_ceilings
from export.layer_fusion import fuse_layers
from export.roofline_bound import NetworkBound, bound_network
from export.roofline_changes import (
    Change,
    change_network,
    change_precision,
    change_size,
    sizes_around,
)
from export.roofline_graph import precision_of, size_graph
from export.roofline_measured import Predicted, compare_layers, read_measured
from export.roofline_record import roofline_record
from export.roofline_subject import Subject, subject_from_file, subject_from_registry
from export.roofline_text import Roofline, roofline_text
from runtime.atomic_file import write_text
from runtime.command_line import CommandParser, check_output, count, positive
from runtime.errors import UsageError, run_command
from runtime.notices import print_last

DEFAULT_TOP = 20
DEFAULT_DEPTH = 2


def build_parser() -> CommandParser:
    """Return the command line of ``python -m export.roofline``."""
    parser = CommandParser(
        prog="python -m export.roofline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--onnx", type=Path, help="a portable model: FP32, FP16 or INT8 with Q/DQ")
    source.add_argument("--model", help=f"or one of {', '.join(sorted(DETECTORS))}")
    add = parser.add_argument
    add("--size", nargs=2, type=positive, metavar=("H", "W"), help="input size in pixels")
    add("--device", required=True, help=f"{CUSTOM}, or one of {', '.join(DEVICES)}")
    add("--precision", choices=tuple(PRECISION_BYTES), help="count an FP32 graph as this")
    add("--batch", type=positive, default=1, metavar="N", help="frames per run")
    files = parser.add_argument_group("files")
    add = files.add_argument
    add("--graphs", type=Path, metavar="FOLDER", help="keep exported graphs here (0.2 MB each)")
    add("--peaks", type=Path, metavar="F.json", help=f"peaks of your device: --device {CUSTOM}")
    add("--measured-ceilings", type=Path, metavar="F.json", help="ceilings measured on the device")
    add("--measured", type=Path, metavar="F.json", help="from runtime/measure.py --json")
    add("--json", type=Path, metavar="F.json", help="also write everything as JSON")
    add("--picture", type=Path, metavar="F.png", help="also draw the roofline")
    shown = parser.add_argument_group("what is shown")
    add = shown.add_argument
    add("--top", type=count, default=DEFAULT_TOP, metavar="N", help="layers to list; 0 for all")
    add("--depth", type=positive, default=DEFAULT_DEPTH, help="names of a module that make a stage")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    device = _device(arguments)
    for option, suffix in (("json", ".json"), ("picture", ".png")):
        if path := getattr(arguments, option):
            check_output(f"--{option}", path, suffix)
    found = find_roofline(_subject(arguments), device, arguments)
    print_last(roofline_text(found, arguments.top, arguments.depth))
    if arguments.json:
        write_text(arguments.json, json.dumps(roofline_record(found), indent=1) + "\n")
    if arguments.picture:
        from export.roofline_picture import draw_roofline  # matplotlib is not in the export extra

        draw_roofline(found, arguments.picture)
    written = " and ".join(str(path) for path in (arguments.json, arguments.picture) if path)
    if written:
        print_last(f"\nwrote {written}")
    return 0


def find_roofline(subject: Subject, device: Device, arguments: argparse.Namespace) -> Roofline:
    """Count a network and bound it.

    Args:
        subject: The network.
        device: Its peaks.
        arguments: Of the command.

    Raises:
        UsageError: If the device lacks the arithmetic, or a file does not fit the rest.
        ArtifactError: If the graph cannot be counted.
    """
    graph = size_graph(subject.graph, subject.size_hw, arguments.batch)
    written_in = precision_of(graph)
    precision = _precision(arguments.precision, written_in)
    network = fuse_layers(graph)
    bound = bound_network(network, device, precision)
    ceilings = arguments.measured_ceilings
    return Roofline(
        title=subject.title,
        size_hw=subject.size_hw,
        batch=arguments.batch,
        counted_as=precision or written_in,
        device=device,
        network=network,
        bound=bound,
        ceiling_bound=bound_network(network, with_ceilings(device, ceilings), precision)
        if ceilings
        else None,
        changes=_changes(subject, device, precision, written_in),
        predicted=_predicted(subject, bound, arguments.measured),
    )


def _precision(wanted: str | None, written_in: str) -> str | None:
    """Return what to count FP32 as; None for a graph that says it all.

    Raises:
        UsageError: If a graph of another precision was to count as something else.
    """
    if written_in == "fp32":
        return wanted or "fp32"
    if wanted not in (None, written_in):
        raise UsageError(
            f"got --precision {wanted} and a graph in {written_in}; only an FP32 graph can count "
            "as another precision; name that, or drop --precision"
        )
    return None


def _changes(
    subject: Subject, device: Device, precision: str | None, written_in: str
) -> dict[str, Sequence[Change]]:
    own = precision or written_in
    sizes = sizes_around(subject)
    networks = change_network(device, own) if own in device.tera_operations else []
    return {
        "precision, all of the network in it": change_precision(subject, device),
        f"input size, {own}": change_size(subject, device, precision, sizes),
        f"network, {own}, 80 classes, one look": networks,
    }


def _predicted(subject: Subject, bound: NetworkBound, path: Path | None) -> Predicted | None:
    if path is None:
        return None
    return compare_layers(bound, read_measured(path, subject.model, subject.size_hw))


def _device(arguments: argparse.Namespace) -> Device:
    if (arguments.device == CUSTOM) is not (arguments.peaks is not None):
        raise UsageError(
            f"--peaks F.json and --device {CUSTOM} go together; got --device {arguments.device} "
            f"{'with' if arguments.peaks else 'without'} --peaks; "
            f"{'name custom' if arguments.peaks else 'add it'}"
        )
    return read_device(arguments.peaks) if arguments.peaks else find_device(arguments.device)


def _subject(arguments: argparse.Namespace) -> Subject:
    size_hw = tuple(arguments.size) if arguments.size else None
    if arguments.onnx is not None:
        return subject_from_file(arguments.onnx, size_hw)
    return subject_from_registry(arguments.model, size_hw, arguments.graphs)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
