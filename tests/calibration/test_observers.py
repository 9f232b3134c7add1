"""The pass over the samples."""

from __future__ import annotations

import io
import sys

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

from calibration.observers import Observation, Observer, Provider, observe
from runtime.errors import CalibrationError
from tests.calibration.tiny_network import make_tiny_network, random_frames
from tests.export.tiny_models import run


def test_observe_sees_every_sample() -> None:
    model, frames = make_tiny_network(), random_frames(3)
    found = observe(model, ["block.0/Relu", "heat"], frames, 3)
    heat = [run(model, frames=frame)[0] for frame in frames]
    assert found["heat"].peak == pytest.approx(np.abs(heat).max(), rel=1e-5)
    assert found["heat"].counts.sum() == np.size(heat)


def test_an_observation_counts_samples_and_black_ones() -> None:
    observation = Observation.of(["heat", "stem/Relu"])
    with Observer(make_tiny_network(), observation) as observer:
        for sample in (*random_frames(2), np.zeros((1, 16, 16, 3), np.uint8)):
            observer.add(sample)
        observer.finish()
    assert (observation.samples, observation.blank_samples) == (3, 1)
    assert observation.dead_tensors() == []


def test_an_observation_may_be_continued_in_another_session() -> None:
    frames, tensors = random_frames(4), ["stem/Relu", "heat"]
    whole = observe(make_tiny_network(), tensors, frames, 4)
    observation = Observation.of(tensors)
    for part in (frames[:1], frames[1:]):
        with Observer(make_tiny_network(), observation) as observer:
            for frame in part:
                observer.add(frame)
            observer.finish()
    for name in tensors:
        np.testing.assert_array_equal(observation.histograms[name].counts, whole[name].counts)
        assert observation.histograms[name].limit == whole[name].limit
        assert observation.histograms[name].peak == whole[name].peak


def test_tensors_that_are_always_zero_are_named() -> None:
    observation = Observation.of(["a", "b"])
    observation.histograms["a"].add(np.ones(3))
    observation.histograms["b"].add(np.zeros(3))
    assert observation.dead_tensors() == ["b"]


def test_a_provider_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(CalibrationError, match=r"offers CPU.* expected CUDA.* --provider cpu"):
        observe(make_tiny_network(), ["heat"], random_frames(1), 1, Provider.CUDA)


def test_a_provider_that_does_not_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    started = onnxruntime.InferenceSession  # falls back to the processor, as the real one does
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda model, options, providers: started(model, options, providers=providers[1:]),
    )
    with pytest.raises(CalibrationError, match="could not start CUDAExecutionProvider"):
        observe(make_tiny_network(), ["heat"], random_frames(1), 1, Provider.CUDA)


class Terminal(io.StringIO):
    """A stream that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_progress_and_a_file_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        observe(make_tiny_network(), ["heat"], random_frames(3), 3)
        assert ("observing" in stream.getvalue()) is shown


def test_observe_leaves_the_model_alone() -> None:
    model = make_tiny_network()
    before = model.SerializeToString()
    observe(model, ["stem/Relu"], random_frames(1), 1)
    assert model.SerializeToString() == before


def test_a_tensor_that_is_not_finite_is_named() -> None:
    model = make_tiny_network()
    for tensor in model.graph.initializer:
        if tensor.name == "stem.bias":
            broken = np.full(16, np.inf, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(broken, tensor.name))
    with pytest.raises(CalibrationError, match="stem/Relu became infinite or NaN on image 1"):
        observe(model, ["stem/Relu"], random_frames(1), 1)


def test_samples_of_a_wrong_shape_are_refused() -> None:
    sample = np.zeros((1, 8, 8, 4), np.uint8)
    with pytest.raises(CalibrationError, match="could not run the model"):
        observe(make_tiny_network(), ["heat"], [sample], 1)
