"""ONNX Runtime sessions as the runtime opens them, where a benchmark needs to look inside."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from runtime.errors import ArtifactError

PROVIDERS = ["CPUExecutionProvider"]
KERNEL_TIME = "_kernel_time"


def session_options(threads: int, spinning: bool = False) -> onnxruntime.SessionOptions:
    """Return the options that ``runtime.backend_onnxruntime`` uses.

    Args:
        threads: CPU threads.
        spinning: Let waiting threads spin, which the runtime does not: they are ready sooner, but
            take the cores from whatever else runs.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return options


class BoundSession:
    """A model of one input and one output whose memory is laid out once, as inside a graph.

    Args:
        model: Serialised ONNX.
        values: The input, kept for all runs.
        threads: CPU threads.
    """

    def __init__(self, model: bytes, values: np.ndarray, threads: int) -> None:
        self._session = onnxruntime.InferenceSession(
            model, session_options(threads), providers=PROVIDERS
        )
        self._result = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty_like(values))
        self._binding = self._session.io_binding()
        source = onnxruntime.OrtValue.ortvalue_from_numpy(values)
        self._binding.bind_ortvalue_input(self._session.get_inputs()[0].name, source)
        self._binding.bind_ortvalue_output(self._session.get_outputs()[0].name, self._result)

    def run(self) -> None:
        """Run the model once."""
        self._session.run_with_iobinding(self._binding)

    def result(self) -> np.ndarray:
        """Return the last run's output."""
        return np.asarray(self._result.numpy())


class SpinningSession:
    """A model as ONNX Runtime runs it by default: waiting threads spin.

    Args:
        artifact: The model.
        threads: CPU threads.
    """

    def __init__(self, artifact: Path, threads: int) -> None:
        self._session = onnxruntime.InferenceSession(
            str(artifact), session_options(threads, spinning=True), providers=PROVIDERS
        )

    def run(self, frames: np.ndarray) -> list[np.ndarray]:
        """Run the model once on uint8 (N, H, W, 3); returns its outputs."""
        return list(self._session.run(None, {self._session.get_inputs()[0].name: frames}))


class ProfiledSession:
    """A model whose nodes ONNX Runtime times.

    Profiling slows a model down, most of all its loops: compare the time of a few nodes with that
    of the whole model in an ordinary session.

    Args:
        artifact: The model.
        threads: CPU threads.
        folder: Where ONNX Runtime may write its profile.
    """

    def __init__(self, artifact: Path, threads: int, folder: Path) -> None:
        options = session_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "profile")
        self._session = onnxruntime.InferenceSession(str(artifact), options, providers=PROVIDERS)

    def run(self, frames: np.ndarray) -> None:
        """Run the model once on uint8 (N, H, W, 3)."""
        self._session.run(None, {self._session.get_inputs()[0].name: frames})

    def finish(self, module: str) -> list[float]:
        """End profiling.

        Args:
            module: Path of the module whose nodes count, such as "decode".

        Returns:
            Milliseconds spent in that module, one value per run.

        Raises:
            ArtifactError: If the model has no such nodes.
        """
        profile = Path(self._session.end_profiling())
        events = json.loads(profile.read_text(encoding="utf-8"))
        return module_times_ms(events, module)


def module_times_ms(events: list[dict[str, Any]], module: str) -> list[float]:
    """Sum the time of a module's nodes in each run of a profile.

    Args:
        events: ONNX Runtime's profile: durations in microseconds, a run's nodes before its end.
        module: Path of the module; its nodes are named ``module/...``.

    Raises:
        ArtifactError: If no node belongs to the module.
    """
    runs, current = [], 0.0
    for event in events:
        if event["cat"] == "Node" and event["name"].startswith(f"{module}/"):
            if event["name"].endswith(KERNEL_TIME):
                current += event["dur"] / 1e3
        elif event["name"] == "model_run":
            runs.append(current)
            current = 0.0
    if math.isclose(sum(runs), 0.0):
        raise ArtifactError(
            f"the profile has no nodes of {module!r}; expected a graph that decodes; export it "
            "without --raw"
        )
    return runs
