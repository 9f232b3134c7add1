"""The profile's part of the GPU check, as far as it runs without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import gpu_profile
from benchmarks.gpu_profile import device_called, facts_of, floor_of, measure_artifact, samples_of
from export.detector_source import DetectorSource
from export.device_peaks import DEVICES
from export.export_onnx import ExportRequest, export_onnx
from runtime import device_monitor
from runtime.errors import BackendError
from tests import measurements
from tests.builders import write_tiny_artifact

QUICK = ("--frames", "test://64x48", "--warmup", "1", "--count", "14", "--live-seconds", "0")
SHORT = (*QUICK, "--batches", "0", "--no-cold-start", "--threads", "1")


def test_an_artifact_is_measured_as_a_user_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_profile, "OPTIONS", SHORT)
    monkeypatch.setattr(device_monitor, "open_monitor", lambda root: None)
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    run = measure_artifact(artifact, 7, tmp_path).runs[0]
    samples = samples_of(run)
    assert {name: len(values) for name, values in samples.items()}["end to end"] == 7
    assert all(value > 0 for value in samples["network"])
    facts = facts_of(run)
    assert 0 < facts["bare p50 ms"] <= facts["bare p99 ms"]
    assert "mJ per frame" not in facts and "slowest layers ms" not in facts


def test_a_measurement_that_fails_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_profile, "OPTIONS", SHORT)
    with pytest.raises(BackendError, match=r"measuring none\.onnx failed"):
        measure_artifact(tmp_path / "none.onnx", 7, tmp_path)
    assert "no file at" in capsys.readouterr().err


def test_facts_of_a_run_with_everything() -> None:
    run = measurements.run(
        layers=measurements.layer_profile(),
        device=measurements.device(),
        live=measurements.live(),
    )
    facts = facts_of(run)
    assert run.live is not None and run.device is not None and run.layers is not None
    assert facts["age p99 ms"] == run.live.age.p99_ms
    assert facts["mJ per frame"] == run.device.energy_mj_per_frame
    times = list(facts["slowest layers ms"].values())
    assert times == sorted(times, reverse=True) and len(times) == min(20, len(run.layers.layers))


def test_a_gpu_is_found_by_the_name_of_its_driver() -> None:
    assert device_called("NVIDIA H200") is DEVICES["h200"]
    assert device_called("NVIDIA Quadro of 1999") is None


@pytest.mark.slow
def test_the_floor_is_above_zero_and_falls_with_a_faster_device(tmp_path: Path) -> None:
    portable = tmp_path / "nano.onnx"
    export_onnx(
        ExportRequest(DetectorSource("cornernet-nano", None, 1, 6), (320, 320), "fp16"), portable
    )
    floors = [floor_of(portable, DEVICES[name]) for name in ("h200", "orin-nano")]
    assert 0 < floors[0] < floors[1] < 10
