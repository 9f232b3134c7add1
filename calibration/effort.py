"""How much is done to keep accuracy in INT8: ranges alone, biases and channels, or every weight.

The two functions frame the observation of ranges: ``prepare`` before it, ``improve`` behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from onnx import ModelProto

from calibration.equalization import equalize
from calibration.progress import progress_bar
from calibration.quantize import Quantizable
from calibration.quantize_rules import Placement
from runtime.image_batches import ImageBatches

# Images on which peaks of channels are observed: they only share out the steps of a grid.
EQUALIZED_ON = 64
# Images on which blocks are compared with float ones: 1600 cells each in nano's smallest maps.
RECONSTRUCTED_ON = 32


class Effort(Enum):
    """What is done beyond observing ranges and rounding to the nearest step.

    Attributes:
        FAST: Nothing.
        GOOD: Channels of a tensor get similar ranges, and biases take back what shifts means.
        BEST: The same, and weights, biases and scales are tuned block by block; convolutions that
            make much noise with few operations stay float.
    """

    FAST = "fast"
    GOOD = "good"
    BEST = "best"


def prepare(model: ModelProto, images: ImageBatches, effort: Effort) -> ModelProto:
    """Return the float model to observe and quantize: it computes the same.

    Args:
        model: The exported float model; not modified.
        images: Of the calibration.
        effort: How much to do.

    Raises:
        SourceError: If an image cannot be read.
        CalibrationError: If the model cannot be run, or a tensor is not finite.
    """
    if effort is Effort.FAST:
        return model
    chosen = images.spread(EQUALIZED_ON)
    with progress_bar(len(chosen), "equalizing") as bar:
        return equalize(model, chosen, bar.update)


def improve(
    source: Quantizable, placement: Placement, images: ImageBatches, effort: Effort, seed: int = 0
) -> Quantizable:
    """Return a model that loses less: other biases and, for the best, weights and thresholds.

    Args:
        source: What ``prepare`` gave, with its ranges; not modified.
        placement: Which convolutions run in INT8.
        images: Of the calibration.
        effort: How much to do.
        seed: Of the order in which images are seen; the same one gives the same result.

    Raises:
        SourceError: If an image cannot be read.
        CalibrationError: If the model has an operator that cannot be tuned through.
    """
    if effort is Effort.FAST:
        return source
    # They need torch, which the fast way does without.
    from calibration.adaptive_rounding import TuningOptions
    from calibration.reconstruction import ReconstructionOptions, reconstruct

    tuning = None
    if effort is Effort.BEST:
        tuning = TuningOptions(seed=seed)
        source = _spare(source, placement, images)
        placement = source.placed(placement)
    chosen = images.spread(RECONSTRUCTED_ON)
    with progress_bar(0, "reconstructing", "step") as bar:

        def begin(total: int) -> Callable[[], object]:
            bar.reset(total)
            update: Callable[[], object] = bar.update
            return update

        return reconstruct(source, placement, chosen, ReconstructionOptions(tuning), begin)


def _spare(source: Quantizable, placement: Placement, images: ImageBatches) -> Quantizable:
    """Leave in float what makes much noise with few operations."""
    from calibration.meters import sqnr_meter
    from calibration.sessions import Form
    from calibration.spared import choose_spared

    meter = sqnr_meter(source.model, images, Form.PORTABLE)
    return replace(source, spared=choose_spared(source, placement, meter))
