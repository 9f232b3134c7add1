"""Run the same images through PyTorch and every artifact, and say whether they agree.

python -m export.verify --model cornernet-nano --weights F --images build/shapes/val \
  --artifacts build/verify.onnx build/verify.tensorrt-rtx.engine

Exit status: 0 if all that ran agree within their tolerance, 1 if one does not, 2 if nothing ran.
Artifacts exported with --maps are compared map by map; others by their detections alone.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch

from export.agreement import MIN_IOU, SCORE_THRESHOLD, Agreement, difference_table
from export.detector_source import DetectorSource, LoadedDetector, load_detector
from export.export_onnx import add_source_arguments, deploy_module
from runtime.backend_base import Backend
from runtime.backends import load_backend
from runtime.command_line import CommandParser, positive
from runtime.contract import read_contract
from runtime.errors import BackendError, UsageError, run_command
from runtime.image_batches import ImageBatches, find_images

# Largest difference of a raw map as a share of its largest value, by the artifact's precision.
# INT8 is not judged here but by its average precision: make evaluate.
MAP_TOLERANCES = {"fp32": 1e-3, "fp16": 2e-2}
MIN_MATCHED_SHARE = 0.99
DISAGREEMENT = 1


@dataclass(frozen=True)
class Verdict:
    """What one artifact gave.

    Attributes:
        label: The artifact's file name.
        precision: From its contract.
        agreement: With PyTorch; None if it could not run here.
        reason: Why it could not run, else "".
    """

    label: str
    precision: str
    agreement: Agreement | None
    reason: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether it agrees; None if it was not run or its precision has no tolerance."""
        tolerance = MAP_TOLERANCES.get(self.precision)
        if self.agreement is None or tolerance is None:
            return None
        maps_agree = all(entry.relative <= tolerance for entry in self.agreement.maps())
        return maps_agree and self.agreement.matched_share >= MIN_MATCHED_SHARE

    def text(self) -> str:
        """Return the verdict and, where it ran, the table of its outputs."""
        if self.agreement is None:
            return f"{self.label}: not run: {self.reason}"
        words = {True: "agrees", False: "DIFFERS", None: "not judged"}[self.passed]
        tolerance = MAP_TOLERANCES.get(self.precision)
        limit = f", tolerance {tolerance:g}" if tolerance else ""
        return (
            f"{self.label} ({self.precision}{limit}): {words} on {self.agreement.frames} images\n"
            f"{difference_table(self.agreement.differences.values())}\n"
            f"detections above {SCORE_THRESHOLD} with a partner at IoU >= {MIN_IOU}: "
            f"{self.agreement.matched} of {self.agreement.wanted} "
            f"({100 * self.agreement.matched_share:.2f}%)"
        )


class TorchReference:
    """The PyTorch detector with decode, in single precision.

    Args:
        detector: With its weights.
        name: Its name in the registry.
    """

    def __init__(self, detector: LoadedDetector, name: str) -> None:
        self._module = deploy_module(detector, name)

    def infer(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return detections and raw maps of a uint8 (N, H, W, 3) batch, by name."""
        with torch.inference_mode():
            values = self._module(torch.from_numpy(batch))
        names = self._module.output_names
        return {name: value.numpy() for name, value in zip(names, values, strict=True)}


def verify(artifact: Path, reference: TorchReference, images: str, max_images: int) -> Verdict:
    """Compare one artifact with PyTorch; one that cannot run here is told apart, not an error.

    Args:
        artifact: With its contract beside it.
        reference: The detector that it was made from.
        images: Folder, data set or pattern of the images to compare on.
        max_images: Use so many of them at most.

    Raises:
        ContractError: If the contract is missing, malformed or of another file.
        SourceError: If there is no image, or one cannot be read.
    """
    contract = read_contract(artifact)
    batches = find_images(images, contract.size_hw, max_images)
    try:
        backend = load_backend("auto", contract.target, threads=1)
        backend.open(artifact)
    except BackendError as error:
        return Verdict(artifact.name, contract.precision, None, str(error))
    try:
        agreement = _compare(backend, reference, batches)
    finally:
        backend.close()
    return Verdict(artifact.name, contract.precision, agreement)


def _compare(backend: Backend, reference: TorchReference, batches: ImageBatches) -> Agreement:
    agreement = Agreement()
    for batch in batches:
        agreement.add(reference.infer(batch), backend.infer(batch))
    return agreement


def build_parser() -> CommandParser:
    """Return the command line of ``python -m export.verify``."""
    parser = CommandParser(prog="python -m export.verify", description=__doc__)
    add = parser.add_argument
    add("--model", required=True, help="name in the registry")
    add_source_arguments(parser)
    add("--artifacts", type=Path, nargs="+", required=True, metavar="F", help="what to compare")
    add("--images", required=True, help="folder, data set or pattern of images")
    add("--max-images", type=positive, default=20, help="use so many, evenly spread (default 20)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    contracts = [read_contract(artifact) for artifact in arguments.artifacts]
    if foreign := [c.name for c in contracts if c.name != arguments.model]:
        raise UsageError(
            f"got an artifact of {foreign[0]}; expected {arguments.model}, as --model says"
        )
    classes = len(contracts[0].class_names)
    source = DetectorSource(arguments.model, arguments.weights, arguments.random_weights, classes)
    reference = TorchReference(load_detector(source), arguments.model)
    verdicts = [
        verify(artifact, reference, arguments.images, arguments.max_images)
        for artifact in arguments.artifacts
    ]
    print("\n\n".join(verdict.text() for verdict in verdicts))
    return _conclude(verdicts)


def _conclude(verdicts: list[Verdict]) -> int:
    """Print the last line and return the exit status."""
    count = {key: sum(v.passed is key for v in verdicts) for key in (True, False)}
    absent = sum(v.agreement is None for v in verdicts)
    if absent == len(verdicts):
        raise BackendError(
            f"none of {absent} artifacts can run here; expected one for this machine; "
            "the reasons are above"
        )
    unjudged = len(verdicts) - count[True] - count[False] - absent
    print(f"\n{count[True]} agree, {count[False]} differ, {unjudged} not judged, {absent} not run")
    return DISAGREEMENT if count[False] else 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
