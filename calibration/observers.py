"""See how large activations get: one pass over the samples, one small histogram per tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from types import TracebackType

import numpy as np
import onnx
import onnxruntime

from calibration.histograms import MagnitudeHistogram
from calibration.progress import progress_bar
from calibration.sessions import run_error
from export.builder_onnxruntime import ORT_ERRORS
from runtime.errors import CalibrationError


class Provider(Enum):
    """What ONNX Runtime computes on while ranges are observed."""

    CPU = "cpu"
    CUDA = "cuda"

    @property
    def ort_name(self) -> str:
        """The execution provider's name in ONNX Runtime."""
        return f"{self.name}ExecutionProvider"


@dataclass
class Observation:
    """What was counted so far; between two samples it may be stored, and continued from there.

    Attributes:
        histograms: One per observed tensor.
        samples: How many samples are in them.
        blank_samples: How many of those were black all over.
    """

    histograms: dict[str, MagnitudeHistogram]
    samples: int = 0
    blank_samples: int = 0

    @classmethod
    def of(cls, tensors: Sequence[str]) -> Observation:
        """Begin with nothing."""
        return cls({name: MagnitudeHistogram() for name in tensors})

    def dead_tensors(self) -> list[str]:
        """Return the tensors in which every value of every sample was 0."""
        return [name for name, histogram in self.histograms.items() if histogram.peak == 0]


class Observer:
    """Runs a float model and adds what its tensors hold to an observation.

    A thread of its own counts a sample's values while the caller reads the next one. The next one
    is not computed before that is done: memory holds the tensors of one sample, however many there
    are. Use from one thread, as a context.

    Args:
        model: The model in float; not modified.
        observation: What to add to; complete, up to the last sample, whenever ``finish`` returns.
        provider: What to compute on.
        threads: CPU threads of the network; 0 for all cores.

    Raises:
        CalibrationError: If ONNX Runtime lacks the provider, or refuses the model.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        observation: Observation,
        provider: Provider = Provider.CPU,
        threads: int = 0,
    ) -> None:
        self._observation = observation
        self._names = list(observation.histograms)
        self._session = _open_session(model, self._names, provider, threads)
        self._input = self._session.get_inputs()[0].name
        self._counter = ThreadPoolExecutor(1, "counting")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Observer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._counter.shutdown()

    def add(self, sample: np.ndarray) -> None:
        """Compute one sample; its values may still be being counted on return.

        Args:
            sample: The network's input, uint8 (N, H, W, 3); must not change until ``finish``.

        Raises:
            CalibrationError: If ONNX Runtime refuses the sample, or a tensor of the sample before
                is not finite.
        """
        self.finish()
        try:
            values = self._session.run(self._names, {self._input: sample})
        except ORT_ERRORS as error:
            raise run_error(error) from error
        self._pending = self._counter.submit(self._count, sample, values)

    def finish(self) -> None:
        """Wait until every sample is counted.

        Raises:
            CalibrationError: If a tensor is not finite.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _count(self, sample: np.ndarray, values: Sequence[np.ndarray]) -> None:
        """Add a whole sample; runs in the counting thread, where no interrupt can split it."""
        for (name, histogram), value in zip(
            self._observation.histograms.items(), values, strict=True
        ):
            try:
                histogram.add(value)
            except ValueError:
                raise CalibrationError(
                    f"tensor {name} became infinite or NaN on image "
                    f"{self._observation.samples + 1}; expected finite activations; check the "
                    "weights and the exported model"
                ) from None
        self._observation.blank_samples += not sample.any()
        self._observation.samples += 1


def observe(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    samples: Iterable[np.ndarray],
    total: int,
    provider: Provider = Provider.CPU,
) -> dict[str, MagnitudeHistogram]:
    """Run a float model in ONNX Runtime and count the values of some tensors.

    Args:
        model: The model in float; not modified.
        tensors: Names of the tensors to observe.
        samples: Network inputs, uint8 (N, H, W, 3).
        total: Number of samples, for the progress bar.
        provider: What to compute on.

    Raises:
        CalibrationError: If ONNX Runtime refuses the model or a sample, or a tensor is not finite.
    """
    observation = Observation.of(tensors)
    with Observer(model, observation, provider) as observer, progress_bar(total) as bar:
        for sample in samples:
            observer.add(sample)
            bar.update()
        observer.finish()
    return observation.histograms


def _open_session(
    model: onnx.ModelProto, tensors: Sequence[str], provider: Provider, threads: int
) -> onnxruntime.InferenceSession:
    """Open the model with ``tensors`` as its only outputs, so that what lies behind is not run."""
    offered = onnxruntime.get_available_providers()
    if provider.ort_name not in offered:
        raise CalibrationError(
            f"onnxruntime {onnxruntime.__version__} offers {', '.join(offered)}; expected "
            f"{provider.ort_name}; install onnxruntime-gpu, or use --provider cpu"
        )
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: removing unused nodes is what we want
    options.intra_op_num_threads = threads
    # Idle threads would wait busily for the next sample, on cores that counting needs: on two
    # shared cores an image cost 150 ms of processor time so, and 92 ms without.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # CUDA leaves nodes that it has no kernel for to the processor.
    providers = list(dict.fromkeys([provider.ort_name, Provider.CPU.ort_name]))
    try:
        session = onnxruntime.InferenceSession(
            observed.SerializeToString(), options, providers=providers
        )
    except ORT_ERRORS as error:
        raise run_error(error) from error
    if provider.ort_name not in session.get_providers():  # its libraries failed to load
        raise CalibrationError(
            f"onnxruntime {onnxruntime.__version__} could not start {provider.ort_name}; expected "
            "a GPU with its CUDA and cuDNN libraries; repair them, or use --provider cpu"
        )
    return session
