"""The tiny network with a price on some of its convolutions, in place of real accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from onnx import ModelProto

from calibration.observers import observe
from calibration.quantize import Quantizable, choose_ranges, observable
from calibration.quantize_rules import EVERYWHERE
from calibration.ranges import RangeMethod
from calibration.sessions import is_quantized
from export.precision_rules import noted_float_convolutions
from tests.calibration.tiny_network import make_tiny_network, random_frames

FLOAT_AP = 0.8
IMAGES_DIGEST = "of the images"
# What each convolution of the tiny network costs in AP; the others cost nothing.
COSTS = {"block.0/Conv": 0.1, "join.0/Conv": 0.02, "join.1/Conv": 0.04}


class PriceList:
    """An AP that falls by the cost of every convolution in INT8; counts how often it is asked."""

    def __init__(self, costs: Mapping[str, float] = COSTS) -> None:
        self.costs, self.asked = costs, 0

    def __call__(self, model: ModelProto) -> float:
        self.asked += 1
        if not is_quantized(model):
            return FLOAT_AP
        floats = noted_float_convolutions(model)
        return FLOAT_AP - sum(cost for name, cost in self.costs.items() if name not in floats)


def priced_accuracy(annotation_file: Path, prices: PriceList) -> Any:
    """Return what stands for an ``AccuracyMeter``; the file is written."""
    annotation_file.write_text("{}")
    return SimpleNamespace(
        measure=lambda model: SimpleNamespace(precision=SimpleNamespace(ap=prices(model))),
        examples=range(7),
        coco=SimpleNamespace(annotation_file=annotation_file),
        digest=lambda: IMAGES_DIGEST,
    )


def make_quantizable() -> Quantizable:
    """Return the tiny network with its ranges."""
    model = make_tiny_network()
    histograms = observe(model, observable(model, EVERYWHERE), random_frames(3), 3)
    return Quantizable(model, choose_ranges(histograms, RangeMethod.MSE))
