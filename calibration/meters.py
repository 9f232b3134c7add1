"""The two figures that calibration compares models by, behind one shape: AP, and SQNR in its place.

Both are measured on models in memory and say more where they are larger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx import ModelProto

from calibration.accuracy import AccuracyMeter
from calibration.sessions import Form
from calibration.sqnr import FLOAT_DB, IMAGES, SqnrMeter
from runtime.errors import CalibrationError
from runtime.image_batches import ImageBatches


@dataclass(frozen=True)
class Meter:
    """A figure of a model, where more is better.

    Attributes:
        metric: "ap", in [0, 1], or "sqnr_db", in dB.
        images: Number of images.
        float_value: The figure of the float model.
        measure: Gives the figure of a quantized model.
    """

    metric: str
    images: int
    float_value: float
    measure: Callable[[ModelProto], float]


def ap_meter(accuracy: AccuracyMeter, model: ModelProto) -> Meter:
    """Return what measures average precision.

    Args:
        accuracy: The images, and how quantized models are computed.
        model: The float model; measured at once.

    Raises:
        CalibrationError: If the annotations list no object, or the model cannot be run.
        SourceError: If an image cannot be read.
    """

    def measure(model: ModelProto) -> float:
        return float(accuracy.measure(model).precision.ap)

    float_value = measure(model)
    if float_value < 0:  # COCO's way to say that there is nothing to find
        raise CalibrationError(
            f"{accuracy.coco.annotation_file} lists no object on {len(accuracy.examples)} images; "
            "expected annotated objects; measure on other images"
        )
    return Meter("ap", len(accuracy.examples), float_value, measure)


def sqnr_meter(model: ModelProto, images: ImageBatches, form: Form, threads: int = 0) -> Meter:
    """Return what measures the noise of the maps, on a few images.

    Args:
        model: The float model.
        images: A few of them are taken, evenly.
        form: How quantized models are computed.
        threads: CPU threads; 0 for all cores.

    Raises:
        CalibrationError: If the model cannot be run.
        SourceError: If an image cannot be read.
    """
    few = images.spread(IMAGES)
    return Meter("sqnr_db", len(few), FLOAT_DB, SqnrMeter(model, few, form, threads).measure)
