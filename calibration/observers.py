"""See how large activations get: one pass over the samples, one small histogram per tensor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime

from export.builder_onnxruntime import ORT_ERRORS, PROVIDERS
from runtime.errors import CalibrationError

# Growing doubles the range, so between half and all of the bins are in use: at least 32 bins per
# INT8 step, enough to compare clipping thresholds.
BINS = 8192


class MagnitudeHistogram:
    """Histogram of absolute values whose range grows with the data; its memory stays the same.

    The range is a power of two times the first one, so growing merges whole bins and loses
    nothing that a histogram begun with the larger range would have kept.

    Attributes:
        counts: int64 (BINS,), number of values per bin; bin i covers [i, i + 1) * limit / BINS.
        limit: Upper border of the last bin; 0 until a value other than zero was seen.
        peak: Largest magnitude seen.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.limit = 0.0
        self.peak = 0.0

    def add(self, values: np.ndarray) -> None:
        """Count every value.

        Raises:
            ValueError: If a value is infinite or not a number.
        """
        if values.size == 0:
            return
        magnitudes = np.abs(values, dtype=np.float32).ravel()
        peak = float(magnitudes.max())
        if not np.isfinite(peak):
            raise ValueError("values must be finite")
        self._grow_to(peak)
        scale = np.float32(BINS / self.limit) if self.limit else np.float32(0)
        bins = np.minimum((magnitudes * scale).astype(np.int32), BINS - 1)
        self.counts += np.bincount(bins, minlength=BINS)
        self.peak = max(self.peak, peak)

    def centers(self) -> np.ndarray:
        """Return the middle of every bin, float64 (BINS,)."""
        return (np.arange(BINS) + 0.5) * (self.limit / BINS)

    def _grow_to(self, peak: float) -> None:
        if peak > 0 and self.limit == 0:
            self.limit = float(2.0 ** np.ceil(np.log2(peak)))
        while peak > self.limit:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros_like(merged)])
            self.limit *= 2


@dataclass(frozen=True)
class Progress:
    """How far the pass over the samples is.

    Attributes:
        done: Samples finished.
        total: Samples there are.
        remaining_s: Estimated seconds left.
    """

    done: int
    total: int
    remaining_s: float


def observe(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    samples: Iterable[np.ndarray],
    total: int,
    report: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, MagnitudeHistogram]:
    """Run a float model in ONNX Runtime and count the values of some tensors.

    Memory holds one sample's tensors at a time, however many samples there are.

    Args:
        model: The model in float; not modified.
        tensors: Names of the tensors to observe.
        samples: Network inputs, uint8 (N, H, W, 3).
        total: Number of samples, for the progress report.
        report: Called after every sample.

    Raises:
        CalibrationError: If ONNX Runtime refuses the model or a sample, or a tensor is not finite.
    """
    histograms = {name: MagnitudeHistogram() for name in tensors}
    try:
        session = _session_with_outputs(model, list(tensors))
        input_name = session.get_inputs()[0].name
        start = time.monotonic()
        for done, sample in enumerate(samples, 1):
            for name, value in zip(
                tensors, session.run(list(tensors), {input_name: sample}), strict=True
            ):
                _count(histograms[name], name, value)
            spent = time.monotonic() - start
            report(Progress(done, total, spent / done * (total - done)))
    except ORT_ERRORS as error:
        raise CalibrationError(
            f"ONNX Runtime {onnxruntime.__version__} could not run the model "
            f"({' '.join(str(error).split())[:300]}); expected a float model with input "
            "uint8 [N, H, W, 3]; export it again"
        ) from error
    return histograms


def _session_with_outputs(
    model: onnx.ModelProto, tensors: list[str]
) -> onnxruntime.InferenceSession:
    """Open the model with ``tensors`` as its only outputs, so that what lies behind is not run."""
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: removing unused nodes is what we want
    return onnxruntime.InferenceSession(observed.SerializeToString(), options, providers=PROVIDERS)


def _count(histogram: MagnitudeHistogram, name: str, value: np.ndarray) -> None:
    try:
        histogram.add(value)
    except ValueError:
        raise CalibrationError(
            f"tensor {name} became infinite or NaN; expected finite activations; "
            "check the weights and the exported model"
        ) from None
