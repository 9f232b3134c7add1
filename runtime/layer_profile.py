"""The one place that chooses how the layers of an artifact are timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.backends import available_cores, load_backend
from runtime.contract import ModelContract, read_contract
from runtime.errors import BackendError, UsageError
from runtime.layers import LayerProfile
from runtime.trt_module import load_product


def profile_layers(
    artifact: Path, backend: str, threads: int, runs: int, frames: np.ndarray | None
) -> LayerProfile:
    """Time every layer of an artifact, next to whole runs with and without the profiler.

    Args:
        artifact: The model file; its contract lies beside it.
        backend: One of ``runtime.backends.BACKEND_NAMES``.
        threads: CPU threads of the network; 0 means one per available core.
        runs: How many count, at least one; one more warms up.
        frames: Letterboxed pictures, uint8 (N, H, W, 3), BGR, of the contract's size; taken in
            turn, one a run. None for noise, which takes the network as long; decoding may differ.

    Raises:
        UsageError: If ``runs`` or ``frames`` make no sense.
        BackendError: If no backend can run or profile the artifact here.
        ArtifactError: If the artifact is missing or cannot be loaded.
        ContractError: If its contract is missing, malformed or of another file.
    """
    if runs < 1:
        raise UsageError(f"runs is {runs}; expected at least 1")
    contract = read_contract(artifact, verify=False)
    frames = _noise(contract) if frames is None else _checked(frames, contract)
    batches = [frames[index % len(frames)][None] for index in range(runs)]
    threads = threads or available_cores()
    name = load_backend(backend, contract.target, threads).name
    if name == "onnxruntime":
        from runtime.layer_profile_onnxruntime import profile_onnxruntime

        return profile_onnxruntime(artifact, threads, batches)
    if name in ("tensorrt", "tensorrt-rtx"):
        from runtime.layer_profile_tensorrt import profile_tensorrt

        return profile_tensorrt(load_product(name), artifact, batches)
    raise BackendError(
        f"backend {name} has no layers to time; expected onnxruntime, tensorrt or tensorrt-rtx"
    )


def _noise(contract: ModelContract) -> np.ndarray:
    shape = (1, *contract.size_hw, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _checked(frames: np.ndarray, contract: ModelContract) -> np.ndarray:
    shape = (*contract.size_hw, 3)
    if frames.dtype != np.uint8 or frames.shape[1:] != shape or len(frames) == 0:
        raise UsageError(
            f"frames are {frames.dtype} {frames.shape}; expected uint8 (N, *{shape}), at least one "
            "picture, letterboxed for the network"
        )
    return frames
