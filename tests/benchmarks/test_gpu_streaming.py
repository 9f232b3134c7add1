"""The stream benchmark on a backend that needs no GPU."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import gpu_streaming
from benchmarks.gpu_streaming import ENGINE_ALONE, STREAM, MemorySource, turns
from detectors.shapes_clip import ClipSpec
from runtime.backend_synthetic import SyntheticBackend
from runtime.errors import BackendError
from tests.builders import picture


def synthetic(*_: object) -> SyntheticBackend:
    backend = SyntheticBackend()
    backend.open()
    return backend


def test_a_memory_source_delivers_in_order() -> None:
    images = [picture(), picture()]
    source = MemorySource(images)
    frames = [source.read(), source.read()]
    assert [frame.sequence for frame in frames if frame] == [0, 1]
    assert source.read() is None
    assert frames[0] is not None and frames[0].image is images[0]


def test_both_turns_give_time_per_frame() -> None:
    images = [picture() for _ in range(4)]
    before = [image.copy() for image in images]
    values = {}
    for turn in turns("m", synthetic(), images):
        values |= turn()
    assert list(values) == [f"m: {ENGINE_ALONE}", f"m: {STREAM}"]
    assert all(value > 0 for value in values.values())
    # Boxes were drawn on copies: the next round sees the same pictures.
    assert all(np.array_equal(a, b) for a, b in zip(images, before, strict=True))


def test_every_model_is_set_against_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_streaming, "CLIP", ClipSpec(seconds=0.1, seed=1))
    monkeypatch.setattr(gpu_streaming, "open_engine", synthetic)
    findings = gpu_streaming.measure(7, ("cornernet-nano",))
    label = f"cornernet-nano: {STREAM} / {ENGINE_ALONE}"
    assert list(findings.ratios) == [label]
    assert [(goal.name, goal.limit) for goal in findings.goals] == [(label, 1.05)]
    assert all(len(values) == 7 for values in findings.samples_ms.values())


def test_without_an_engine_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BackendError("no TensorRT for this GPU")

    monkeypatch.setattr(gpu_streaming, "CLIP", ClipSpec(seconds=0.1, seed=1))
    monkeypatch.setattr(gpu_streaming, "open_engine", refuse)
    with pytest.raises(BackendError, match="no TensorRT"):
        gpu_streaming.measure(7)
