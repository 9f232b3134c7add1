"""What every inference backend shares, and the one place that chooses between them."""

from __future__ import annotations

import abc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.contract import ModelContract, TensorSpec, read_contract
from runtime.errors import BackendError, UsageError

Outputs = dict[str, np.ndarray]
OUTPUT_NAMES = ("boxes", "scores", "class_ids", "corner_scores")


class Backend(abc.ABC):
    """Runs one artifact. Use from one thread: ``open``, ``infer`` any number of times, ``close``.

    A subclass supplies the three hooks ``_open``, ``_run`` and ``_close``; checks and timing live
    here.

    Attributes:
        name: What a user calls it.
        contract: Of the open artifact.
        network_ms: How long the last ``infer`` spent in the subclass.
    """

    name: str
    contract: ModelContract
    network_ms: float = 0.0

    def open(self, artifact: Path) -> None:
        """Load an artifact and run it once on black frames, so that the first frame is not slow.

        Raises:
            ArtifactError: If the artifact is missing or cannot be loaded.
            ContractError: If its contract is missing, malformed or of another file.
            BackendError: If its outputs are not those that the contract promises.
        """
        self.contract = read_contract(artifact)
        self._start(artifact)

    def _start(self, artifact: Path) -> None:
        """Check the contract, load the artifact and warm up."""
        if len(self.contract.inputs) != 1:
            raise BackendError(f"{artifact} has {len(self.contract.inputs)} inputs; expected 1")
        missing = set(OUTPUT_NAMES) - {spec.name for spec in self.contract.outputs}
        if missing:
            raise BackendError(
                f"{artifact} has no output {sorted(missing)}; expected the decoder in the graph "
                f"({', '.join(OUTPUT_NAMES)}); export it without --raw"
            )
        self._open(artifact)
        try:
            self.infer(np.zeros((1, *self.contract.size_hw, 3), np.uint8))
        except BaseException:
            self.close()
            raise

    def infer(self, batch: np.ndarray) -> Outputs:
        """Run the network.

        Args:
            batch: uint8 (N, H, W, 3), BGR, of the size in the contract; not modified.

        Returns:
            The raw outputs by name: ``boxes`` float32 (N, D, 4), ``scores`` float32 (N, D),
            ``class_ids`` int32 (N, D), ``corner_scores`` float32 (N, D, 2). They stay valid.

        Raises:
            BackendError: If the batch or an output differs from the contract.
        """
        _check_tensor(self.contract.inputs[0], batch, self.name, "input")
        started = time.perf_counter_ns()
        outputs = self._run(batch)
        self.network_ms = (time.perf_counter_ns() - started) / 1e6
        for spec in self.contract.outputs:
            if spec.name not in outputs:
                raise BackendError(f"{self.name} gave no output {spec.name!r}; build again")
            _check_tensor(spec, outputs[spec.name], self.name, "output")
        self._check_classes(outputs)
        return outputs

    def close(self) -> None:
        """Release the artifact; may be called again."""
        self._close()

    def _check_classes(self, outputs: Outputs) -> None:
        """Refuse detections whose class the contract does not name."""
        class_ids, count = outputs["class_ids"], len(self.contract.class_names)
        unnamed = ((class_ids < 0) | (class_ids >= count)) & (outputs["scores"] >= 0)
        if unnamed.any():
            raise BackendError(
                f"{self.contract.name} gave class id {class_ids[unnamed][0]}; expected 0 to "
                f"{count - 1}, as many as its contract names; build again: make engine"
            )

    @abc.abstractmethod
    def _open(self, artifact: Path) -> None:
        """Load the artifact whose contract is ``self.contract``."""

    @abc.abstractmethod
    def _run(self, batch: np.ndarray) -> Outputs:
        """Run a checked batch."""

    @abc.abstractmethod
    def _close(self) -> None:
        """Release whatever ``_open`` took."""


def _check_tensor(spec: TensorSpec, array: np.ndarray, backend: str, role: str) -> None:
    """Refuse an array whose dtype or fixed sizes differ from the contract's."""
    fits = len(spec.shape) == array.ndim and all(
        isinstance(wanted, str) or wanted == got
        for wanted, got in zip(spec.shape, array.shape, strict=True)
    )
    if not fits or array.dtype != np.dtype(spec.dtype):
        raise BackendError(
            f"{backend} {role} {spec.name!r} is {array.dtype} {array.shape}; "
            f"expected {spec.dtype} {spec.shape}, as its contract says"
        )


@dataclass(frozen=True)
class BackendSpec:
    """One backend that the factory knows.

    Attributes:
        load: Imports the backend's module and returns a backend for a number of threads.
        targets: Values of the contract's ``target`` that it can run.
        install: What to type when its library is missing.
    """

    load: Callable[[int], Backend]
    targets: tuple[str, ...]
    install: str


def _load_onnxruntime(threads: int) -> Backend:
    from runtime.backend_onnxruntime import OnnxRuntimeBackend

    return OnnxRuntimeBackend(threads)


def _load_synthetic(threads: int) -> Backend:
    from runtime.backend_synthetic import SyntheticBackend

    return SyntheticBackend()


# The order is that of preference. "synthetic" runs no network: only by name, never by itself.
BACKENDS = {
    "onnxruntime": BackendSpec(
        _load_onnxruntime, ("onnxruntime", "portable"), "pip install onnxruntime"
    ),
    "synthetic": BackendSpec(_load_synthetic, (), "nothing"),
}
BACKEND_NAMES = ("auto", *BACKENDS)


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_backend(artifact: Path, name: str = "auto", threads: int = 0) -> Backend:
    """Open an artifact in the first backend that can run it, or in the one asked for.

    Args:
        artifact: The model file; its contract lies beside it.
        name: One of ``BACKEND_NAMES``.
        threads: CPU threads of the network; 0 means one per available core.

    Raises:
        UsageError: If no backend has this name.
        BackendError: If none can run the artifact here; says why for each.
        ArtifactError: If the artifact is missing or cannot be loaded.
        ContractError: If its contract is missing, malformed or of another file.
    """
    target = read_contract(artifact, verify=False).target
    backend = load_backend(name, target, threads or available_cores())
    backend.open(artifact)
    return backend


def load_backend(name: str, target: str, threads: int) -> Backend:
    """Return a backend, not opened yet, for artifacts of a target.

    Raises:
        UsageError: If no backend has this name.
        BackendError: If none can run the target here; says why for each.
    """
    if name not in BACKEND_NAMES:
        raise UsageError(f"backend is {name!r}; expected one of {', '.join(BACKEND_NAMES)}")
    reasons = []
    for candidate, spec in BACKENDS.items():
        if name not in (candidate, "auto") or (name == "auto" and not spec.targets):
            continue
        if target not in spec.targets and spec.targets:
            reasons.append(f"{candidate} runs {' and '.join(spec.targets)} artifacts only")
            continue
        try:
            return spec.load(threads)
        except ImportError as error:
            reasons.append(f"{candidate} is not installed ({error}): {spec.install}")
    raise BackendError(f"no backend here runs a {target!r} artifact: {'; '.join(reasons)}")
