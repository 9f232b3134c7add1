"""A network in both libraries, at a size that takes moments."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.networks import (
    DECODE,
    EAGER_LAYOUTS,
    ONNX_RUNTIME,
    SPINNING,
    NetworkRun,
    compare,
    eager_actions,
    main,
)
from export.detector_source import DetectorSource

SLOWER, FASTER = EAGER_LAYOUTS


def test_the_faster_layout_is_the_opponent_and_decoding_is_a_share_of_the_whole():
    samples = {
        ONNX_RUNTIME: [10.0] * 7,
        SPINNING: [11.2] * 7,
        SLOWER: [90.0] * 7,
        FASTER: [14.0] * 7,
        DECODE: [0.4] * 7,
    }
    findings = compare(samples, {})
    assert findings.ratios[f"{FASTER} / {ONNX_RUNTIME}"].of_medians == pytest.approx(1.4)
    assert findings.ratios[f"{SLOWER} / {ONNX_RUNTIME}"].of_medians == pytest.approx(9.0)
    assert findings.ratios[f"{SLOWER} / {SPINNING}"].of_medians == pytest.approx(90 / 11.2)
    speed, spinning, share = findings.goals
    assert speed.value == pytest.approx(1.4) and speed.limit == 1.3 and speed.is_met
    assert speed.name == f"{ONNX_RUNTIME} times as fast as {FASTER}"
    assert spinning.value == pytest.approx(1.25) and spinning.limit == 1.3 and not spinning.is_met
    assert spinning.name == f"{SPINNING} times as fast as {FASTER}"
    assert share.value == pytest.approx(0.04) and share.limit == 0.03 and not share.is_met


def test_layouts_compute_the_same():
    run = NetworkRun(DetectorSource("cornernet-nano", None, 1, 2), (64, 64), 1, 7)
    frames = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    first, second = (action() for action in eager_actions(run, frames).values())
    np.testing.assert_allclose(first[1].numpy(), second[1].numpy(), atol=1e-4)  # scores


@pytest.mark.slow  # exports nano
def test_nano_end_to_end(tmp_path: Path):
    out = tmp_path / "r.json"
    words = ["--model", "cornernet-nano", "--size", "64", "64", "--threads", "1"]
    assert main([*words, "--rounds", "7", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert set(body["samples_ms"]) == {ONNX_RUNTIME, SPINNING, DECODE, SLOWER, FASTER}
    assert all(len(figures["values"]) == 7 for figures in body["samples_ms"].values())
    assert body["settings"]["weights"] == "random, seed 1"
    assert body["samples_ms"][DECODE]["median"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "nothing"], "unknown model 'nothing'"),
        (["--model", "cornernet-nano", "--size", "65", "64"], "use 64"),
        (["--weights", "no-such-file.safetensors"], "no-such-file.safetensors"),
        (["--weights", "a", "--random-weights", "1"], "drop one"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([*words, "--out", str(tmp_path / "r.json")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error and list(tmp_path.iterdir()) == []
