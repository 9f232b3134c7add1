"""The parts of the GPU benchmark that run without a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import gpu_networks
from benchmarks.gpu_networks import COMPILED, EAGER, ENGINE, half_module, torch_inference
from export.detector_source import DetectorSource, load_detector
from export.export_onnx import deploy_module
from runtime.errors import BackendError

SOURCE = DetectorSource("cornernet-nano", None, 1, 2)
FRAMES = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)


def test_half_precision_is_close_to_single() -> None:
    half, single = half_module(SOURCE), deploy_module(load_detector(SOURCE), SOURCE.name)
    assert {value.dtype for value in half.detector.parameters()} == {torch.float16}
    with torch.inference_mode():
        maps, expected = (module(torch.from_numpy(FRAMES))[4:] for module in (half, single))
    for value, wanted in zip(maps, expected, strict=True):
        assert value.dtype == torch.float32
        assert (value - wanted).abs().max() <= 0.02 * wanted.abs().max()


def test_an_inference_brings_the_four_outputs_back() -> None:
    boxes, scores, class_ids, corner_scores = torch_inference(half_module(SOURCE), FRAMES, "cpu")()
    assert boxes.shape == (1, 100, 4) and corner_scores.shape == (1, 100, 2)
    assert scores.shape == class_ids.shape == (1, 100)


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="torch sees no GPU"):
        gpu_networks.measure(7)


def test_forms_are_compared_with_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def pretended(model: str, rounds: int, facts: dict[str, str]) -> dict[str, list[float]]:
        facts[f"{model}: {COMPILED}"] = "not run: no Triton"
        return {f"{model}: {ENGINE}": [2.0] * rounds, f"{model}: {EAGER}": [5.0] * rounds}

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu_networks, "measure_model", pretended)
    findings = gpu_networks.measure(7, ("cornernet-nano",))
    label = f"cornernet-nano: {EAGER} / {ENGINE}"
    assert list(findings.ratios) == [label]
    assert findings.ratios[label].of_medians == 2.5
    assert [goal.is_met for goal in findings.goals] == [True]
    assert findings.facts == {f"cornernet-nano: {COMPILED}": "not run: no Triton"}
