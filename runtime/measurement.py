"""What ``measure.py`` finds out about artifacts, as it is kept in JSON and shown on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.latency import Bar, Latency
from runtime.layers import LayerProfile

FORMAT = "cornerrt-measurement-1"


@dataclass(frozen=True)
class StageLatency:
    """One stage of a frame's way.

    Attributes:
        stage: One of ``runtime.spans.STAGES``.
        latency: Over the frames that count.
        histogram: Of the same values.
        rounds_ms: As ``Journey.rounds_ms``, of this stage.
    """

    stage: str
    latency: Latency
    histogram: tuple[Bar, ...]
    rounds_ms: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Journey:
    """Frames that went through all stages one after the other, in one thread.

    Attributes:
        stages: In order of a frame's way.
        end_to_end: From before the first stage to after the last.
        histogram: Of the end-to-end times.
        bare: The network alone, on a frame that lies ready; what ``trtexec`` would tell.
        decode_ms: Part of the bare network's median that decodes corners: the share of these
            layers; None if there is no profile.
        warmup_ms: End-to-end times of the frames before those that count.
        rounds_ms: End-to-end milliseconds of every frame that counts, one tuple per round, in the
            order of measuring. Confidence intervals need them: frames of one round are not
            independent, so whole rounds are resampled, also against an earlier file's. Round i of
            all artifacts of one measurement is the same turn. Empty: no intervals.
    """

    stages: tuple[StageLatency, ...]
    end_to_end: Latency
    histogram: tuple[Bar, ...]
    bare: Latency
    decode_ms: float | None
    warmup_ms: tuple[float, ...]
    rounds_ms: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Live:
    """Frames that came at a camera's pace into the real pipeline, stages at work side by side.

    Attributes:
        frames_per_second: Of the camera.
        age: From a picture's capture to its finished result.
        results: How many.
        dropped: Pictures that a newer one replaced.
    """

    frames_per_second: float
    age: Latency
    results: int
    dropped: int


@dataclass(frozen=True)
class Throughput:
    """The network alone at one batch size.

    Attributes:
        batch: Frames per run.
        frames_per_second: At the median.
        latency: Of one run.
    """

    batch: int
    frames_per_second: float
    latency: Latency


@dataclass(frozen=True)
class ColdStart:
    """From a new process to its first result, in milliseconds; pages may be in the file cache.

    Attributes:
        imports_ms: Starting Python and loading the libraries.
        open_ms: Loading the artifact and its first inference, which warms it up.
        first_frame_ms: The first picture from letterbox to boxes.
    """

    imports_ms: float
    open_ms: float
    first_frame_ms: float

    @property
    def total_ms(self) -> float:
        """All of it."""
        return self.imports_ms + self.open_ms + self.first_frame_ms


@dataclass(frozen=True)
class Memory:
    """What a process takes, in bytes.

    A new process, which ran one picture, tells it; without a cold start the one that measures,
    whose memory may hold what was used before.

    Attributes:
        host_before_open: Resident, libraries loaded, artifact not yet.
        host_open: Resident, artifact open.
        host_peak: The most so far.
        device_open: Taken on the GPU by opening; None without a GPU.
        device_running: Taken on the GPU after a picture; None without a GPU.
    """

    host_before_open: int
    host_open: int
    host_peak: int
    device_open: int | None
    device_running: int | None


@dataclass(frozen=True)
class SoakWindow:
    """Part of a long run.

    Attributes:
        started_s: Since the start of the run.
        end_to_end: Of the frames in it.
        energy_mj_per_frame: Millijoules of the whole device; None if it tells no power.
        hottest_c: The highest temperature; None if it tells none.
        throttled: What held clocks back.
    """

    started_s: float
    end_to_end: Latency
    energy_mj_per_frame: float | None
    hottest_c: float | None
    throttled: tuple[str, ...]


@dataclass(frozen=True)
class ThrottlePeriod:
    """When something held clocks back.

    Attributes:
        reason: What, as in ``Device.throttled``.
        from_s: The first sample that says so, since the start of the run.
        to_s: The last one; the same for a single sample.
    """

    reason: str
    from_s: float
    to_s: float


@dataclass(frozen=True)
class Device:
    """What the device told while frames were measured.

    Attributes:
        name: The device.
        power_mode: Of the run; "" if there is none.
        power_mw: Mean by rail.
        temperatures_c: Highest by zone.
        clocks_mhz: Mean by unit.
        loads: Mean by unit, 0 to 1.
        energy_mj_per_frame: Of the whole device, idle included; None if it tells no power.
        throttled: Everything that held clocks back at any time.
        missing: What could not be read, and why.
        windows: The run in parts, for drift.
        throttle_periods: When each reason held clocks back, in order of time.
    """

    name: str
    power_mode: str
    power_mw: dict[str, float]
    temperatures_c: dict[str, float]
    clocks_mhz: dict[str, float]
    loads: dict[str, float]
    energy_mj_per_frame: float | None
    throttled: tuple[str, ...]
    missing: tuple[str, ...]
    windows: tuple[SoakWindow, ...]
    throttle_periods: tuple[ThrottlePeriod, ...] = ()


@dataclass(frozen=True)
class Run:
    """Everything that was measured of one artifact.

    Attributes:
        artifact: Its path as it was given.
        sha256: Its digest.
        model: Its name in the contract.
        size_hw: Of the network's input.
        precision: As in the contract.
        backend: What ran it, such as "onnxruntime".
        frames: Pictures that count.
        journey: One frame after the other.
        live: At a camera's pace.
        throughput: By batch size.
        cold_start: None if it was not asked for.
        memory: Of a process that does nothing else, where one was started.
        layers: None if they were not asked for.
        device: None where there is nothing to read.
    """

    artifact: str
    sha256: str
    model: str
    size_hw: tuple[int, int]
    precision: str
    backend: str
    frames: int
    journey: Journey
    live: Live | None
    throughput: tuple[Throughput, ...]
    cold_start: ColdStart | None
    memory: Memory | None
    layers: LayerProfile | None
    device: Device | None


@dataclass(frozen=True)
class Comparison:
    """How one artifact's figure relates to that of the first, measured in the same rounds.

    Attributes:
        artifact: Which one.
        baseline: Against which one, or the file with earlier figures.
        figure: "p50", "p99", "mean", "network p50" and so on.
        ratio: Its figure over the baseline's.
        low: Lower end of the ratio's 95 % confidence interval; None with fewer rounds than
            ``runtime.round_bootstrap.MIN_ROUNDS``.
        high: Upper end; None likewise.
        verdict: "faster", "slower", "no difference shown" where the interval holds 1, or "no
            verdict: " and why not.
    """

    artifact: str
    baseline: str
    figure: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True)
class Measurement:
    """One call of ``measure.py``.

    Attributes:
        command: What repeats it.
        started: Date and time with zone, ISO 8601.
        machine: From ``runtime.machine_facts``.
        settings: Options that matter, by name.
        runs: One for each artifact, in the order given.
        comparisons: Of all but the first with the first, or with a baseline.
    """

    command: str
    started: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...]
