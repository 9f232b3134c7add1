"""Everything that ``measure.py`` measures, in order: frames in turns first, then what is beside."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from runtime.cold_start import ColdStartSettings, FreshStart, measure_cold_start
from runtime.device_log import DeviceLog
from runtime.device_samples import DeviceMonitor, DeviceSample
from runtime.errors import UsageError
from runtime.journey import JourneySamples, journey_of
from runtime.layers import LayerProfile
from runtime.live_run import run_live
from runtime.measure_rounds import FRAMES_TO_SETTLE, RoundSettings, run_rounds
from runtime.measured_artifact import MeasuredArtifact
from runtime.measured_clip import Clip, count_pictures, network_frames
from runtime.measurement import Device, Live, Run
from runtime.nvtx_ranges import open_ranges
from runtime.options_measure import FrameOptions, MeasureOptions
from runtime.soak_run import run_soak
from runtime.spans import FrameSpans
from runtime.throughput import measure_throughput

LAYER_RUNS = 50
LAYER_FRAMES = 10
BATCH_SECONDS = 2.0
# Five samples of a device's power: three in each turn tell the energy of its frames.
SHORTEST_TURN_S = 1.0


@dataclass(frozen=True)
class SessionResult:
    """What one session gave.

    Attributes:
        runs: One per artifact.
        frames: All frames of each, warm-up too.
        device_samples: What the device told beside them; empty without sensors.
    """

    runs: tuple[Run, ...]
    frames: tuple[tuple[FrameSpans, ...], ...]
    device_samples: tuple[DeviceSample, ...]

    def named(self, addition: str) -> SessionResult:
        """Return the same with something added to the artifacts' names."""
        runs = (replace(run, artifact=f"{run.artifact} {addition}") for run in self.runs)
        return replace(self, runs=tuple(runs))


def measure_session(
    options: MeasureOptions, clip: Clip, say: Callable[[str], None]
) -> SessionResult:
    """Open all artifacts and measure them.

    Args:
        options: What to measure.
        clip: What they are shown.
        say: Takes a line for the user.

    Raises:
        CornerRTError: If an artifact cannot be opened here, or anything fails.
    """
    settings = settings_for(clip, options.frames, len(options.model.artifact), say)
    stage_range = open_ranges() if options.parts.nvtx else None
    with contextlib.ExitStack() as opened:
        artifacts = [
            opened.enter_context(
                contextlib.closing(
                    MeasuredArtifact(path, options.model, clip, options.frames.warmup, stage_range)
                )
            )
            for path in options.model.artifact
        ]
        monitor = _open_monitor(options, opened)
        settings = settings_beside(monitor, settings, options.frames)
        with contextlib.ExitStack() as logging:
            log = None if monitor is None else logging.enter_context(DeviceLog(monitor))
            measured = run_rounds([own.sequence for own in artifacts], settings)
        samples = [
            rounds.after(own.warmup) for own, rounds in zip(artifacts, measured, strict=True)
        ]
        devices = [None if log is None else log.device(own.frames) for own in samples]
        parts = _Parts(options, clip, monitor, say)
        runs = tuple(map(parts.run_of, artifacts, samples, devices))
    told = () if log is None else tuple(log.samples)
    return SessionResult(runs, tuple(tuple(own.frames) for own in samples), told)


def settings_for(
    clip: Clip, frames: FrameOptions, artifacts: int, say: Callable[[str], None]
) -> RoundSettings:
    """Return how long to measure on a clip that may be short; says so if it is.

    Args:
        clip: What is shown.
        frames: How long was asked for.
        artifacts: How many take turns.
        say: Takes a line for the user.

    Raises:
        SourceError: If the clip cannot be read, or holds no picture.
        UsageError: If each picture is to be shown once and they are too few.
    """
    settings = frames.round_settings
    if not frames.once:
        length = count_pictures(clip, frames.warmup + 1)
        if length <= frames.warmup:
            say(
                f"{clip.name} has {_counted(length)}, no more than the {frames.warmup} of the "
                "warm-up: it is shown from the start again"
            )
        return settings
    settling = FRAMES_TO_SETTLE * frames.rounds if artifacts > 1 else 0
    others = frames.warmup + settling + 1  # one lies ready for the bare network
    length = count_pictures(clip, others + frames.count)
    if length <= others:
        raise UsageError(
            f"{clip.name} has {_counted(length)}; expected more than the {others} that do not "
            f"count ({frames.warmup} of the warm-up); a longer clip, less --warmup, or without "
            "--once"
        )
    return RoundSettings(min(frames.count, length - others), settings.seconds, settings.rounds)


def settings_beside(
    monitor: DeviceMonitor | None, settings: RoundSettings, frames: FrameOptions
) -> RoundSettings:
    """Return the same with turns long enough to tell their energy, if the device tells power.

    Args:
        monitor: Of the device; None if there is none.
        settings: How long to measure.
        frames: What was asked for; each picture once leaves none for longer turns.
    """
    if monitor is None or monitor.total_rail is None or frames.once:
        return settings
    return replace(settings, least_s=SHORTEST_TURN_S)


def _open_monitor(options: MeasureOptions, opened: contextlib.ExitStack) -> DeviceMonitor | None:
    from runtime.device_monitor import open_monitor

    monitor = open_monitor(options.parts.device_root)
    if monitor is not None:
        opened.callback(monitor.close)
    return monitor


@dataclass(frozen=True)
class _Parts:
    """What is measured of each artifact beside its frames in turns."""

    options: MeasureOptions
    clip: Clip
    monitor: DeviceMonitor | None
    say: Callable[[str], None]

    def run_of(
        self, artifact: MeasuredArtifact, samples: JourneySamples, device: Device | None
    ) -> Run:
        """Measure the rest of one artifact, and put all of it together."""
        parts, contract = self.options.parts, artifact.backend.contract
        layers = self._layers(artifact) if parts.layers else None
        journey = journey_of(samples, layers)
        throughput, left_out = measure_throughput(
            artifact.backend, self.clip, [n for n in parts.batches if n > 0], BATCH_SECONDS
        )
        if left_out:
            self.say(left_out)
        live = self._live(artifact) if parts.live_seconds else None
        if parts.soak is not None:
            device = run_soak(artifact.sequence, self.monitor, parts.soak)
        fresh = self._fresh_start(artifact) if parts.cold_start else None
        return Run(
            artifact=str(artifact.path),
            sha256=contract.artifact_sha256,
            model=contract.name,
            size_hw=contract.size_hw,
            precision=contract.precision,
            backend=artifact.backend.name,
            frames=journey.end_to_end.count,
            journey=journey,
            live=live,
            throughput=throughput,
            cold_start=None if fresh is None else fresh.cold_start,
            memory=artifact.memory if fresh is None else fresh.memory,
            layers=layers,
            device=device,
        )

    def _live(self, artifact: MeasuredArtifact) -> Live:
        parts = self.options.parts
        rate = parts.camera_rate or self.clip.frame_rate
        return run_live(artifact.backend, self.clip, rate, parts.live_seconds, artifact.postprocess)

    def _layers(self, artifact: MeasuredArtifact) -> LayerProfile:
        from runtime.layer_profile import profile_layers

        model = self.options.model
        frames = network_frames(self.clip, artifact.backend.contract.size_hw, LAYER_FRAMES)
        return profile_layers(artifact.path, model.backend, model.threads, LAYER_RUNS, frames)

    def _fresh_start(self, artifact: MeasuredArtifact) -> FreshStart:
        model = self.options.model
        return measure_cold_start(ColdStartSettings(artifact.path, model.backend, model.threads))


def _counted(pictures: int) -> str:
    return f"{pictures} picture{'' if pictures == 1 else 's'}"
