"""Quantize a model in memory: decide, choose ranges, insert; files are for ``calibrate.py``.

The steps are apart so that sensitivity, the accuracy gate and the report can repeat the last ones:
ranges and weights are found once, models with fewer INT8 convolutions are then written in no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto

from calibration.biases import write_biases
from calibration.histograms import MagnitudeHistogram
from calibration.insert_qdq import insert_qdq
from calibration.quantize_rules import Placement, QuantizationPlan, plan_quantization
from calibration.ranges import PERCENTILE, RangeMethod, thresholds_by_method
from calibration.weights import DEFAULT_WEIGHTS, FLOAT32, QuantizedWeights, WeightOptions
from export.precision import FP16, convert_to_fp16
from export.precision_rules import note_float_convolutions


@dataclass(frozen=True)
class Ranges:
    """What was observed on images, and what was chosen from it.

    Attributes:
        histograms: Magnitudes of every tensor that some plan of the model may quantize.
        thresholds: The clipping threshold of each of them.
    """

    histograms: Mapping[str, MagnitudeHistogram]
    thresholds: Mapping[str, float]


@dataclass(frozen=True)
class Quantizable:
    """A float model with everything that quantizing it needs.

    Attributes:
        model: The float model; its channels may have been equalized.
        ranges: Of its activations.
        weight_options: How weights are rounded that ``weights`` does not list.
        weights: Weights that were rounded with more care, by the convolution's first output.
        biases: Biases that take back what INT8 shifts, by the convolution's first output, each of
            which has a bias of its own in ``model``; in float it keeps that one.
        spared: Names of convolutions that are not worth INT8; float in every plan.
    """

    model: ModelProto
    ranges: Ranges
    weight_options: WeightOptions = DEFAULT_WEIGHTS
    weights: Mapping[str, QuantizedWeights] = field(default_factory=dict)
    biases: Mapping[str, np.ndarray] = field(default_factory=dict)
    spared: frozenset[str] = frozenset()

    def placed(self, placement: Placement) -> Placement:
        """Return a placement without the convolutions that are spared."""
        return replace(placement, keep_float=placement.keep_float | self.spared)


class Quantized(NamedTuple):
    """A quantized model and why it is as it is."""

    model: ModelProto
    plan: QuantizationPlan


def choose_ranges(
    histograms: Mapping[str, MagnitudeHistogram],
    method: RangeMethod,
    percentile: float = PERCENTILE,
) -> Ranges:
    """Choose the threshold of every observed tensor."""
    (thresholds,) = thresholds_by_method(histograms, [method], percentile).values()
    return Ranges(histograms, thresholds)


def observable(model: ModelProto, placement: Placement) -> list[str]:
    """Return every tensor whose range a plan may need: this one, or one with less in INT8.

    A pooled tensor has the scale of the tensor that was pooled; where that one stays float, it
    needs its own.
    """
    return plan_quantization(model, placement).observable()


def scale_dtype(base: str) -> np.dtype[Any]:
    """Return the type in which a model with this base stores scales."""
    return FP16.dtype if base == FP16.name else FLOAT32


def quantize_model(source: Quantizable, placement: Placement, base: str = "fp32") -> Quantized:
    """Write a quantized copy of a float model.

    Args:
        source: The float model, its ranges and weights; not modified.
        placement: Which convolutions may run in INT8.
        base: Type of everything that is not INT8: "fp32" or "fp16".

    Raises:
        CalibrationError: If no convolution may run in INT8, or the model is quantized already.
    """
    model = ModelProto()
    model.CopyFrom(source.model)
    plan = plan_quantization(model, source.placed(placement))
    corrected = plan.convolutions & source.biases.keys()
    write_biases(model, {name: source.biases[name] for name in sorted(corrected)})
    options = source.weight_options
    if base == FP16.name:
        options = replace(options, scale_dtype=scale_dtype(base))
    insert_qdq(model, plan, source.ranges.thresholds, options, source.weights)
    note_float_convolutions(model, {d.node: d.rule for d in plan.decisions if not d.int8})
    return Quantized(convert_to_fp16(model) if base == FP16.name else model, plan)
