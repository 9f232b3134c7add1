"""What ``runtime/measure.py`` says of an engine on this GPU, beside the floor of its roofline."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.gpu_networks import open_engine
from benchmarks.report import Findings
from detectors.registry import SHIPPED_WEIGHTS, find_spec
from export.detector_source import DetectorSource
from export.device_peaks import DEVICES
from export.device_record import Device, is_called
from export.layer_fusion import fuse_layers
from export.roofline_bound import bound_network
from export.roofline_graph import read_weightless, size_graph
from runtime import measure as measure_command
from runtime.errors import BackendError
from runtime.measurement import Measurement, Run
from runtime.measurement_file import read_measurement
from runtime.trt_module import find_gpu

MODEL = "cornernet-nano"
# Files that ``open_engine`` makes in its folder.
PORTABLE, ENGINE = "model.onnx", "model.engine"
# A clip for the cameras' work, generated: the folder that this runs in may hold no demo.
OPTIONS = ("--frames", "test://640x480", "--layers", "--batches", "1")


def measure(rounds: int) -> Findings:
    """Build nano in FP16 for this GPU and measure all there is to say of it.

    Args:
        rounds: Rounds that count.

    Raises:
        BackendError: If there is no TensorRT for a GPU here, or the measurement fails.
        CornerRTError: If the engine cannot be built.
    """
    source = DetectorSource(MODEL, SHIPPED_WEIGHTS[MODEL], None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        open_engine(source, find_spec(MODEL).default_size_hw, folder).close()
        measurement = measure_artifact(folder / ENGINE, rounds, folder)
        run = measurement.runs[0]
        facts = facts_of(run)
        device = device_called(_gpu_name())
        if device is not None:
            floor_ms = floor_of(folder / PORTABLE, device)
            facts |= {"floor_ms": floor_ms, "floor / bare p50": floor_ms / run.journey.bare.p50_ms}
    return Findings({"model": MODEL, "options": OPTIONS}, samples_of(run), facts=facts)


def measure_artifact(artifact: Path, rounds: int, folder: Path) -> Measurement:
    """Measure an artifact as a user would.

    Args:
        artifact: What to run.
        rounds: Rounds that count.
        folder: Where a file may lie for a while.

    Raises:
        BackendError: If it fails; the reason was printed.
    """
    out = folder / "profile.json"
    words = [str(artifact), *OPTIONS, "--rounds", str(rounds), "--json", str(out)]
    if measure_command.main(words) != 0:
        raise BackendError(f"measuring {artifact.name} failed; see the line above")
    return read_measurement(out)


def samples_of(run: Run) -> dict[str, list[float]]:
    """Return the median of each round: of the whole frame, and of every stage."""
    journey = run.journey
    rounds = {"end to end": journey.rounds_ms}
    rounds |= {entry.stage: entry.rounds_ms for entry in journey.stages}
    return {
        name: [sorted(frames)[len(frames) // 2] for frames in values if frames]
        for name, values in rounds.items()
        if values
    }


def facts_of(run: Run) -> dict[str, Any]:
    """Return the figures that are no stage's: bare network, tails, age, start, memory, layers."""
    journey = run.journey
    facts: dict[str, Any] = {
        "bare p50 ms": journey.bare.p50_ms,
        "bare p99 ms": journey.bare.p99_ms,
        "end to end p99 ms": journey.end_to_end.p99_ms,
        "decode ms": journey.decode_ms,
    }
    if run.live is not None:
        facts |= {"age p99 ms": run.live.age.p99_ms, "dropped": run.live.dropped}
    if run.cold_start is not None:
        facts["cold start ms"] = run.cold_start.total_ms
    if run.memory is not None:
        facts["device memory bytes"] = run.memory.device_running
    if run.device is not None:
        facts["mJ per frame"] = run.device.energy_mj_per_frame
    if run.layers is not None:
        slowest = sorted(run.layers.layers, key=lambda layer: -layer.median_ms)[:20]
        facts["slowest layers ms"] = {layer.name: layer.median_ms for layer in slowest}
    return facts


def floor_of(portable: Path, device: Device) -> float:
    """Return the fewest milliseconds that a device needs for a graph, layer by layer."""
    network = fuse_layers(size_graph(read_weightless(portable)))
    return bound_network(network, device, None).layered_ms


def device_called(name: str) -> Device | None:
    """Return the device of the roofline that goes by a name; None if there is none."""
    return next((device for device in DEVICES.values() if is_called(device, name)), None)


def _gpu_name() -> str:
    gpu = find_gpu()
    return "" if gpu is None or gpu.name is None else gpu.name
