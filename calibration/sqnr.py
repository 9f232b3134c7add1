"""Signal-to-quantization-noise ratio of a detector's maps: a quick stand-in for lost AP.

A dozen images are enough, where AP needs hundreds: every cell of every map counts, not only the few
that become boxes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto

from calibration.sessions import Form, open_session, run_error
from detectors.families import FAMILIES
from export.builder_onnxruntime import ORT_ERRORS
from runtime.contract import ATTENTION_NAMES, INPUT_NAME
from runtime.errors import CalibrationError

# What rounding to half precision leaves: 11 bits. Noise below it does not count, because the rest
# of the network makes as much on GPUs: a model that is not quantized has this ratio.
FLOAT_DB = 20 * float(np.log10(2.0**11))

# Every cell of every map counts, so a dozen images rank convolutions much as hundreds would.
IMAGES = 12


def map_names(model: ModelProto) -> list[str]:
    """Return the maps that a model computes, whether it decodes them or not.

    Other networks than detectors have none: then their float outputs.
    """
    computed = {name for node in model.graph.node for name in node.output}
    known = (name for family in FAMILIES.values() for name in family.map_names)
    maps = [name for name in (*known, *ATTENTION_NAMES) if name in computed]
    floats = (
        value.name
        for value in model.graph.output
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    )
    return maps or list(floats)


def decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    """Return the ratio of several maps in dB, at most ``FLOAT_DB``.

    Each map's noise is taken as a share of its own signal, and the mean of these shares decides, so
    that every map counts alike and the noise of independent sources adds up.

    Args:
        signal: Power of each map, float64 (maps,).
        noise: Power of each map's error, float64 (maps,).
    """
    shares = np.divide(noise, signal, out=np.where(noise > 0, 1.0, 0.0), where=signal > 0)
    least = 10 ** (-FLOAT_DB / 10)
    return -10 * float(np.log10(max(least, float(shares.mean()))))


class SqnrMeter:
    """Compares quantized models with the float model they came from, on the same images.

    Args:
        model: The float model.
        frames: Network inputs, uint8 (1, H, W, 3); kept, with the float model's maps.
        form: How quantized models are computed.
        threads: CPU threads; 0 for all cores.

    Raises:
        CalibrationError: If there is no frame, or ONNX Runtime cannot run the model.
    """

    def __init__(
        self,
        model: ModelProto,
        frames: Iterable[np.ndarray],
        form: Form = Form.PORTABLE,
        threads: int = 0,
    ) -> None:
        self._names, self._form, self._threads = map_names(model), form, threads
        self._frames = tuple(frames)
        if not self._frames:
            raise CalibrationError("got no image to compare maps on; expected at least one")
        session = open_session(model, Form.PORTABLE, self._names, threads)
        self._expected = [self._maps(session, frame) for frame in self._frames]
        self._signal = sum(
            (_powers(maps) for maps in self._expected), np.zeros(len(self._names), np.float64)
        )

    def measure(self, model: ModelProto) -> float:
        """Return the ratio in dB; more is better.

        Raises:
            CalibrationError: If ONNX Runtime cannot run the model, or a map is not finite.
        """
        session = open_session(model, self._form, self._names, self._threads)
        noise = np.zeros(len(self._names), np.float64)
        for frame, expected in zip(self._frames, self._expected, strict=True):
            found = self._maps(session, frame)
            noise += _powers([a - b for a, b in zip(found, expected, strict=True)])
        if not np.isfinite(noise).all():
            raise CalibrationError(
                f"map {self._names[int(np.argmin(np.isfinite(noise)))]} became infinite or NaN; "
                "expected finite maps; check the weights and the ranges"
            )
        return decibels(self._signal, noise)

    def _maps(self, session: onnxruntime.InferenceSession, frame: np.ndarray) -> list[np.ndarray]:
        try:
            maps: list[np.ndarray] = session.run(self._names, {INPUT_NAME: frame})
        except ORT_ERRORS as error:
            raise run_error(error) from error
        return maps


def _powers(arrays: list[np.ndarray]) -> np.ndarray:
    """Return the sum of squares of each array, float64."""
    return np.array([np.square(a, dtype=np.float64).sum() for a in arrays])
