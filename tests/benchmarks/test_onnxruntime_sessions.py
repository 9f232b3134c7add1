"""Sessions that show the time of single nodes, and that keep their memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks.corner_pooling import corner_pool_model
from benchmarks.onnxruntime_sessions import (
    BoundSession,
    ProfiledSession,
    SpinningSession,
    module_times_ms,
    session_options,
)
from plugins import reference
from runtime.backends import open_backend
from runtime.errors import ArtifactError
from tests.builders import write_tiny_artifact


def event(name: str, microseconds: int, kind: str = "Node") -> dict[str, object]:
    return {"cat": kind, "name": name, "dur": microseconds}


def test_times_are_summed_by_run_and_module():
    run = [
        event("stem/Conv_kernel_time", 900),
        event("decode/TopK_kernel_time", 30),
        event("decode/TopK_fence_after", 500),
        event("decoder/Conv_kernel_time", 700),
        event("decode/Mul_kernel_time", 20),
        event("model_run", 2000, "Session"),
    ]
    start = event("session_initialization", 9999, "Session")
    assert module_times_ms([start, *run, *run], "decode") == pytest.approx([0.05, 0.05])


def test_a_model_without_the_module_is_refused():
    with pytest.raises(ArtifactError, match="no nodes of 'decode'"):
        module_times_ms([event("stem/Conv_kernel_time", 9), event("model_run", 9)], "decode")


def test_a_real_profile_has_one_value_per_run(tmp_path: Path):
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    session = ProfiledSession(artifact, 1, tmp_path)
    for _ in range(3):
        session.run(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(ArtifactError, match="no nodes of 'decode'"):
        session.finish("decode")  # the tiny model's nodes have no module
    assert len(list(tmp_path.glob("profile*.json"))) == 1


@pytest.mark.parametrize("spinning", [False, True])
def test_threads_spin_only_where_asked(spinning: bool):
    options = session_options(1, spinning)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == f"{spinning:d}"
    assert options.intra_op_num_threads == 1


def test_a_spinning_session_computes_what_the_runtime_does(tmp_path: Path):
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    found = SpinningSession(artifact, 1).run(frames)
    with contextlib.closing(open_backend(artifact, "onnxruntime", 1)) as backend:
        expected = backend.infer(frames)
    assert len(found) == len(expected)
    for values, wanted in zip(found, expected.values(), strict=True):
        np.testing.assert_array_equal(values, wanted)


def test_a_bound_session_computes_what_it_should():
    values = np.random.default_rng(0).standard_normal((1, 2, 5, 4), np.float32)
    session = BoundSession(corner_pool_model(values.shape, "left").SerializeToString(), values, 1)
    session.run()
    np.testing.assert_array_equal(session.result(), reference.corner_pool(values, "left"))
