"""The one place that chooses between inference backends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.contract import read_contract
from runtime.errors import BackendError, UsageError
from runtime.trt_module import find_gpu, load_product

if TYPE_CHECKING:  # a benchmark of kernels needs no OpenCV, which that file imports
    from runtime.backend_base import Backend


@dataclass(frozen=True)
class BackendSpec:
    """One backend that the factory knows.

    Attributes:
        load: Imports the backend's module and returns a backend for a number of threads; raises
            ``ImportError`` or ``BackendError`` where it cannot work.
        targets: Values of the contract's ``target`` that it can run.
        install: What to type when its library is missing.
    """

    load: Callable[[int], Backend]
    targets: tuple[str, ...]
    install: str


def _load_tensorrt(product: str, threads: int) -> Backend:
    """Return a backend on the GPU; the cheapest reason why not comes first."""
    if find_gpu() is None:
        raise BackendError(
            "found no NVIDIA GPU or no driver; see nvidia-smi (in a container: docker run --gpus "
            "all)"
        )
    trt = load_product(product)
    from runtime.backend_tensorrt import TensorRTBackend

    return TensorRTBackend(trt)


def _load_onnxruntime(threads: int) -> Backend:
    from runtime.backend_onnxruntime import OnnxRuntimeBackend

    return OnnxRuntimeBackend(threads)


def _load_synthetic(threads: int) -> Backend:
    from runtime.backend_synthetic import SyntheticBackend

    return SyntheticBackend()


# The order is that of preference. "synthetic" runs no network: only by name, never by itself.
BACKENDS = {
    "tensorrt": BackendSpec(
        partial(_load_tensorrt, "tensorrt"), ("tensorrt",), "pip install --editable '.[trt]'"
    ),
    "tensorrt-rtx": BackendSpec(
        partial(_load_tensorrt, "tensorrt-rtx"),
        ("tensorrt-rtx",),
        "pip install --editable '.[trt,rtx]'",
    ),
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

    A model with attention maps looks twice at every picture: see ``runtime.backend_saccade``.

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
    contract = read_contract(artifact, verify=False)
    backend = load_backend(name, contract.target, threads or available_cores())
    if contract.has_attention:
        from runtime.backend_saccade import SaccadeBackend

        backend = SaccadeBackend(backend)
    backend.open(artifact)
    return backend


def load_backend(name: str, target: str, threads: int) -> Backend:
    """Return a backend, not opened yet, for artifacts of a target.

    Raises:
        UsageError: If no backend has this name.
        BackendError: If none can run the target here; says why.
    """
    if name not in BACKEND_NAMES:
        raise UsageError(f"backend is {name!r}; expected one of {', '.join(BACKEND_NAMES)}")
    if name == "auto":
        candidates = {n: spec for n, spec in BACKENDS.items() if target in spec.targets}
    else:
        candidates = {name: BACKENDS[name]}
    reasons = []
    for candidate, spec in candidates.items():
        if target not in spec.targets and spec.targets:
            reasons.append(f"{candidate} runs {' and '.join(spec.targets)} artifacts only")
            continue
        try:
            return spec.load(threads)
        except ImportError as error:
            reasons.append(f"{candidate} is not installed ({error}): {spec.install}")
        except BackendError as error:
            reasons.append(f"{candidate}: {error}")
    raise BackendError(f"no backend here runs a {target!r} artifact: {'; '.join(reasons)}")
