"""Compare an exported model in ONNX Runtime with the PyTorch detector it came from."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2
import numpy as np
import onnxruntime
import torch
from onnx import ModelProto

from detectors.registry import find_spec
from export.agreement import Difference, difference_of, difference_table, map_names
from export.detector_source import DetectorSource, load_detector
from export.export_onnx import add_source_arguments, deploy_module
from export.onnx_graph import load_model
from export.surgery import keep_outputs
from runtime.camera_files import read_image
from runtime.command_line import CommandParser, seed
from runtime.contract import (
    BOX_NAMES,
    INPUT_NAME,
    ModelContract,
    read_contract,
)
from runtime.errors import ArtifactError, ExportError, UsageError, run_command

Arrays = dict[str, np.ndarray]

# Rows below this score never reach a user; their order and partners are down to rounding.
SCORE_THRESHOLD = 0.05


@dataclass(frozen=True)
class Tolerance:
    """What counts as equal.

    Attributes:
        relative: Largest difference of a raw map, as a share of its largest value; also the
            largest difference of a score.
        box_px: Largest difference of a box edge, in network pixels.
    """

    relative: float
    box_px: float


@dataclass(frozen=True)
class Comparison:
    """The outcome for all frames.

    Attributes:
        maps: One entry per raw or attention map.
        detections: Rows above ``SCORE_THRESHOLD`` of the reference; None for a raw graph.
        unmatched: Rows that one side has and the other lacks.
    """

    maps: tuple[Difference, ...]
    detections: int | None
    unmatched: int

    def is_within(self, tolerance: Tolerance) -> bool:
        """Say whether maps and detections agree."""
        return self.unmatched == 0 and all(e.relative <= tolerance.relative for e in self.maps)

    def table(self) -> str:
        """Return the outcome as text."""
        lines = [difference_table(self.maps)]
        if self.detections is not None:
            lines.append(
                f"detections above {SCORE_THRESHOLD}: {self.detections}, unmatched {self.unmatched}"
            )
        return "\n".join(lines)


def compare_outputs(reference: Arrays, other: Arrays, tolerance: Tolerance) -> Comparison:
    """Compare what two runtimes made of the same frames.

    Args:
        reference: Raw maps, attention maps where there are some, and detections where the graph
            decodes, by name.
        other: The same names.
        tolerance: What counts as the same row.
    """
    maps = tuple(difference_of(n, reference[n], other[n]) for n in map_names(reference))
    if "scores" not in other:
        return Comparison(maps, None, 0)
    unmatched = count = 0
    for image in range(len(reference["scores"])):
        rows, others = (
            {name: side[name][image] for name in BOX_NAMES} for side in (reference, other)
        )
        count += int((rows["scores"] > SCORE_THRESHOLD).sum())
        unmatched += count_unmatched(rows, others, tolerance)
        unmatched += count_unmatched(others, rows, tolerance)
    return Comparison(maps, count, unmatched)


def count_unmatched(rows: Arrays, others: Arrays, tolerance: Tolerance) -> int:
    """Count the rows of one image that have no partner of the same class, score and box.

    Rows at the threshold, or as weak as the last row kept, are left out: rounding decides whether
    they appear at all.

    Args:
        rows: ``boxes`` (D, 4), ``scores`` (D,), ``class_ids`` (D,).
        others: The same; each row serves one partner only.
        tolerance: What counts as the same.
    """
    cut = max(SCORE_THRESHOLD, float(rows["scores"].min())) + tolerance.relative
    free = np.ones(len(others["scores"]), bool)
    unmatched = 0
    for i in np.flatnonzero(rows["scores"] > cut):
        distance_px = np.abs(others["boxes"] - rows["boxes"][i]).max(axis=1)
        same = (
            free
            & (others["class_ids"] == rows["class_ids"][i])
            & (np.abs(others["scores"] - rows["scores"][i]) <= tolerance.relative)
            & (distance_px <= tolerance.box_px)
        )
        if same.any():
            free[np.argmin(np.where(same, distance_px, np.inf))] = False
        else:
            unmatched += 1
    return unmatched


def run_torch(contract: ModelContract, source: DetectorSource, frames: np.ndarray) -> Arrays:
    """Return detections and raw maps of the PyTorch detector for uint8 (N, H, W, 3) frames."""
    module = deploy_module(load_detector(source), contract.name)
    with torch.inference_mode():
        values = module(torch.from_numpy(frames))
    return {n: value.numpy() for n, value in zip(module.output_names, values, strict=True)}


def run_onnxruntime(model: ModelProto, frames: np.ndarray, maps: Sequence[str]) -> Arrays:
    """Return the model's outputs and raw maps, computed by ONNX Runtime on the CPU.

    Args:
        model: Changed: its raw maps become outputs.
        frames: uint8 (N, H, W, 3).
        maps: Names of its raw maps.

    Raises:
        ArtifactError: If ONNX Runtime refuses the model or has no raw maps to show.
    """
    given = [value.name for value in model.graph.output if value.name not in maps]
    names = [*given, *maps]
    try:
        keep_outputs(model, names)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        values = session.run(names, {INPUT_NAME: frames})
    except ExportError as error:
        raise ArtifactError(str(error)) from None
    except Exception as error:  # its exceptions share no base class but this
        raise ArtifactError(f"ONNX Runtime refuses the model: {error}") from None
    return dict(zip(names, values, strict=True))


def build_parser() -> CommandParser:
    """Return the command line of ``python -m export.compare``."""
    parser = CommandParser(prog="python -m export.compare", description=__doc__)
    parser.add_argument("--onnx", type=Path, required=True, help="the exported model")
    parser.add_argument("--model", help="its name in the registry, if not that of its contract")
    add_source_arguments(parser)
    parser.add_argument("--images", type=Path, nargs="+", help="images to compare on")
    parser.add_argument("--seed", type=seed, default=0, help="else noise frames of this seed")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-3,
        help="largest difference, as a share of each map's largest value (default 1e-3)",
    )
    return parser


def read_frames(paths: Sequence[Path], size_hw: tuple[int, int]) -> np.ndarray:
    """Return images stretched to the network's size, uint8 (N, H, W, 3) BGR.

    Raises:
        SourceError: If a file is not a readable image.
    """
    frames = []
    for path in paths:
        frames.append(cv2.resize(read_image(path), (size_hw[1], size_hw[0])))
    return np.stack(frames).astype(np.uint8)


def _run(arguments: argparse.Namespace) -> int:
    contract = read_contract(arguments.onnx)
    if arguments.model not in (None, contract.name):
        raise UsageError(
            f"got --model {arguments.model}; {arguments.onnx} holds {contract.name}; "
            "drop --model or choose another file"
        )
    if contract.target != "portable":
        raise ArtifactError(
            f"{arguments.onnx} was built for {contract.target}, where the raw maps have no names; "
            "expected the portable model that it was built from"
        )
    model = load_model(arguments.onnx)
    if arguments.images:
        frames = read_frames(arguments.images, contract.size_hw)
    else:
        generator = np.random.default_rng(arguments.seed)
        frames = generator.integers(0, 256, (2, *contract.size_hw, 3), np.uint8)
    source = DetectorSource(
        contract.name, arguments.weights, arguments.random_weights, len(contract.class_names)
    )
    tolerance = Tolerance(arguments.tolerance, arguments.tolerance * max(contract.size_hw))
    maps = find_spec(contract.name).map_names
    comparison = compare_outputs(
        run_torch(contract, source, frames), run_onnxruntime(model, frames, maps), tolerance
    )
    print(comparison.table())
    if not comparison.is_within(tolerance):
        raise ArtifactError(
            f"{arguments.onnx} differs from PyTorch by more than {arguments.tolerance}; expected "
            "the weights it was exported from; export it again, or allow more: --tolerance"
        )
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
