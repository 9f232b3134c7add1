"""From the options of ``detectors.evaluate`` to something that predicts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import nn

from detectors.augmented_testing import PublishedPredictor, PublishedTest
from detectors.checkpoints import SUFFIX, load_checkpoint, read_class_names
from detectors.coco_names import COCO_NAMES
from detectors.evaluation_options import Protocol, letterbox_options, published_test
from detectors.predict import (
    BatchPredictor,
    EvaluationModel,
    LetterboxPredictor,
    NetworkRunner,
    model_from_artifact,
)
from detectors.registry import build_detector, check_size, find_spec
from detectors.saccade_predict import SaccadePredictor, detector_from_network
from runtime.errors import UsageError


def open_model(options: argparse.Namespace) -> EvaluationModel:
    """Open the artifact, or build the network and load its checkpoint.

    Args:
        options: Checked by ``detectors.evaluation_options.check_options``.

    Raises:
        UsageError: If an option is out of range or not for this model, or the device is not there.
        CornerRTError: If the artifact or checkpoint cannot be opened.
    """
    if options.artifact is not None:
        artifact: Path = options.artifact
        return model_from_artifact(artifact, letterbox_options(options), flip=options.flip)
    spec = find_spec(options.model)
    size_hw = tuple(options.size) if options.size else spec.default_size_hw
    check_size(options.model, size_hw)
    is_published = options.protocol == Protocol.PUBLISHED.value
    if spec.attention_names and is_published:
        raise UsageError(
            f"got --protocol published; {options.model} has a published test of its own, which is "
            "what it always does; drop --protocol"
        )
    if is_published and not spec.family.takes_published_test:
        raise UsageError(
            f"got --protocol published, the test of the CornerNets; {options.model} is of family "
            f"{spec.family.name}; drop --protocol"
        )
    looking = published_test(options) if is_published else letterbox_options(options)
    class_names = _class_names(options.weights)
    network = _load_network(options, len(class_names))
    predict: BatchPredictor
    if spec.attention_names and not isinstance(looking, PublishedTest):
        detector = detector_from_network(network, spec, size_hw)
        predict = SaccadePredictor(detector, looking, options.flip)
        return EvaluationModel(predict, class_names, options.weights.name)
    runner = NetworkRunner(network, spec)
    if isinstance(looking, PublishedTest):
        predict = PublishedPredictor(runner, len(class_names), looking)
    else:
        kept = looking if options.flip else looking.suited_to(spec.decode)
        predict = LetterboxPredictor(runner, size_hw, kept, options.flip)
    return EvaluationModel(predict, class_names, options.weights.name, runner)


def _class_names(weights: Path) -> tuple[str, ...]:
    """Return the classes that a checkpoint names; the published ones without are COCO's."""
    names = read_class_names(weights)
    if names is None and weights.suffix == SUFFIX:
        raise UsageError(
            f"{weights} does not name its classes; expected class_names in its metadata; "
            "export it, and evaluate the artifact: make engine WEIGHTS=..."
        )
    return names or COCO_NAMES


def _load_network(options: argparse.Namespace, num_classes: int) -> nn.Module:
    """Build a network, fill it, and bring it to its device."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "got --device cuda; torch finds no GPU here; drop it, or install torch for CUDA"
        )
    network = build_detector(options.model, num_classes)
    if note := load_checkpoint(network, options.weights).note:
        print(f"note: {options.weights}: {note}", file=sys.stderr)
    return network.to(options.device)
