"""Inference with ONNX Runtime: the embedded default, on any CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from runtime.backend_base import Backend, Outputs
from runtime.contract import TensorSpec
from runtime.errors import ArtifactError, BackendError

# ONNX Runtime's names of the element types in a contract.
ELEMENT_TYPES = {
    "uint8": "tensor(uint8)",
    "int32": "tensor(int32)",
    "float32": "tensor(float)",
}
FATAL_ONLY = 4  # its own log would add lines to the one error message


class OnnxRuntimeBackend(Backend):
    """Runs a portable ONNX file, or one that the build step optimised for this machine.

    Args:
        threads: CPU threads used inside one operator.
    """

    name = "onnxruntime"

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._session: onnxruntime.InferenceSession | None = None
        self._names: list[str] = []

    def _open(self, artifact: Path) -> None:
        try:
            session = onnxruntime.InferenceSession(
                str(artifact), self._options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises many unrelated classes
            raise ArtifactError(
                f"ONNX Runtime {onnxruntime.__version__} refused {artifact} ({error}); expected a "
                "model it can load; build again: make engine"
            ) from None
        _check_signature(artifact, session.get_inputs(), self.contract.inputs, "input")
        _check_signature(artifact, session.get_outputs(), self.contract.outputs, "output")
        self._names = [spec.name for spec in self.contract.outputs]
        self._session = session

    def _options(self) -> onnxruntime.SessionOptions:
        """Return how the session runs."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = FATAL_ONLY
        # Waiting threads sleep: if they spun, they would take the cores from capture and
        # presentation, and on a busy machine a thread that spins hinders the one it waits for.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _run(self, batch: np.ndarray) -> Outputs:
        if self._session is None:
            raise BackendError("no artifact is open; call open() first")
        try:
            values = self._session.run(self._names, {self.contract.inputs[0].name: batch})
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed on {self.contract.name} ({error})") from None
        return dict(zip(self._names, values, strict=True))

    def _close(self) -> None:
        self._session = None


def _check_signature(
    artifact: Path,
    tensors: list[onnxruntime.NodeArg],
    specs: tuple[TensorSpec, ...],
    role: str,
) -> None:
    """Refuse a model whose tensors are not those of its contract."""
    got = {tensor.name: tensor for tensor in tensors}
    for spec in specs:
        if spec.name not in got:
            raise ArtifactError(
                f"{artifact} has {role}s {sorted(got)}; expected {spec.name!r}, as its contract "
                "says; build again: make engine"
            )
        tensor = got[spec.name]
        same_rank = len(tensor.shape) == len(spec.shape)
        fits = same_rank and all(
            isinstance(size, str) or size is None or isinstance(wanted, str) or size == wanted
            for size, wanted in zip(tensor.shape, spec.shape, strict=True)
        )
        if not fits or tensor.type != ELEMENT_TYPES.get(spec.dtype):
            raise ArtifactError(
                f"{artifact} {role} {spec.name!r} is {tensor.type} {tensor.shape}; expected "
                f"{spec.dtype} {spec.shape}, as its contract says; build again: make engine"
            )
