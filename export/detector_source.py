"""Where an exported detector comes from: the network, its weights and the names of its classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from detectors.checkpoints import load_checkpoint, read_class_names, read_metadata
from detectors.coco_names import COCO_NAMES
from detectors.registry import SHIPPED_WEIGHTS, build_detector, find_spec
from runtime.atomic_file import sha256_of
from runtime.contract import ProvenanceStep
from runtime.errors import UsageError


@dataclass(frozen=True)
class DetectorSource:
    """Which detector to take, and its weights.

    Attributes:
        name: A key of the detector registry.
        weights: A file of weights; None takes the shipped ones.
        random_seed: Seed of random weights, for measuring speed only; excludes ``weights``.
        num_classes: Number of classes; None takes it from the weights, or else COCO's 80.
    """

    name: str
    weights: Path | None = None
    random_seed: int | None = None
    num_classes: int | None = None


@dataclass(frozen=True)
class LoadedDetector:
    """A network in evaluation mode, with what the contract needs to know about it.

    Attributes:
        network: Takes normalised float32 (N, 3, H, W), returns a dict of raw maps.
        class_names: Names by class id.
        weights_step: The first step of the provenance.
    """

    network: nn.Module
    class_names: tuple[str, ...]
    weights_step: ProvenanceStep


def load_detector(source: DetectorSource) -> LoadedDetector:
    """Build a detector and fill it with weights.

    Raises:
        UsageError: If the model is unknown, has no shipped weights and none were named, or the
            options contradict each other.
        CheckpointError: If the weights cannot be read or belong to another model.
    """
    find_spec(source.name)
    if source.random_seed is not None:
        return _random_detector(source)
    path = source.weights or SHIPPED_WEIGHTS.get(source.name)
    if path is None:
        raise UsageError(
            f"{source.name} got no weights; expected --weights FILE "
            "(or --random-weights SEED to measure speed)"
        )
    class_names = _class_names(path, source.num_classes)
    network = build_detector(source.name, len(class_names)).eval()
    report = load_checkpoint(network, path)
    origin = f"layout {report.layout}; {report.note}" if report.note else f"layout {report.layout}"
    note = read_metadata(path).get("command", origin)
    step = ProvenanceStep("weights", sha256_of(path), f"torch {torch.__version__}", note)
    return LoadedDetector(network, class_names, step)


def _random_detector(source: DetectorSource) -> LoadedDetector:
    if source.weights is not None:
        raise UsageError("got --weights and --random-weights; expected one of them; drop one")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(source.random_seed or 0)
        names = _default_names(source.num_classes or len(COCO_NAMES))
        network = build_detector(source.name, len(names)).eval()
    note = f"random weights, seed {source.random_seed}"
    return LoadedDetector(
        network, names, ProvenanceStep("weights", "", f"torch {torch.__version__}", note)
    )


def _class_names(path: Path, num_classes: int | None) -> tuple[str, ...]:
    """Return the names that the weights carry, or else COCO's or numbers."""
    names: tuple[str, ...] | None = read_class_names(path)
    if names is None:
        return _default_names(num_classes or len(COCO_NAMES))
    if num_classes not in (None, len(names)):
        raise UsageError(
            f"got --num-classes {num_classes}; {path} has {len(names)} classes; drop the option"
        )
    return names


def _default_names(count: int) -> tuple[str, ...]:
    if count == len(COCO_NAMES):
        return tuple(COCO_NAMES)
    return tuple(f"class {i}" for i in range(count))
