"""The options of ``measure.py``, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.command_line import check_output
from runtime.errors import UsageError
from runtime.measure_arguments import build_parser
from runtime.measure_rounds import RoundSettings
from runtime.option_types import group_from
from runtime.regression_budget import Budget, check_budgets


@dataclass(frozen=True)
class ModelChoice:
    """What to measure.

    Attributes:
        artifact: The models; the first is what the others are compared with.
        backend: What runs them, or "auto".
        threads: CPU threads of the network; 0 for all cores.
        score: Lowest score that is kept, in [0, 1].
    """

    artifact: list[Path]
    backend: str
    threads: int
    score: float


@dataclass(frozen=True)
class FrameOptions:
    """On which pictures, and for how long.

    Attributes:
        frames: A clip, images or the test pattern; None for the demo's clip.
        once: Whether each picture is shown once only.
        warmup: Frames before anything counts.
        count: Frames that count, at most.
        seconds: Time for them, of each artifact.
        rounds: Turns of each artifact.
    """

    frames: str | None
    once: bool
    warmup: int
    count: int
    seconds: float
    rounds: int

    @property
    def round_settings(self) -> RoundSettings:
        """How long to measure."""
        return RoundSettings(self.count, self.seconds, self.rounds)


@dataclass(frozen=True)
class PartOptions:
    """What to measure beside the frames' way.

    Attributes:
        batches: Frames per run of the network; empty for none.
        live_seconds: Length of the live run; 0 for none.
        camera_rate: Pictures per second of the live run; None for the clip's.
        cold_start: Whether to start new processes.
        layers: Whether to profile layer by layer.
        soak: Minutes of a long run with the device's sensors; None for none.
        device_root: Where the device's files are.
        power_modes: Whether to measure in each of the device's power modes.
        yes: Whether that needs no asking.
        nvtx: Whether to name stages in Nsight's timeline.
    """

    batches: list[int]
    live_seconds: float
    camera_rate: float | None
    cold_start: bool
    layers: bool
    soak: float | None
    device_root: Path
    power_modes: bool
    yes: bool
    nvtx: bool


@dataclass(frozen=True)
class ResultOptions:
    """Where figures go, and what they must be.

    Attributes:
        json: File for all figures.
        html: File for a page.
        trace: File for a timeline.
        baseline: An earlier ``json`` to compare with.
        fail_if: Budgets that figures must keep.
    """

    json: Path | None
    html: Path | None
    trace: Path | None
    baseline: Path | None
    fail_if: list[Budget]


@dataclass(frozen=True)
class MeasureOptions:
    """All options of ``measure.py``.

    Raises:
        UsageError: On creation, if groups contradict each other.
    """

    model: ModelChoice
    frames: FrameOptions
    parts: PartOptions
    results: ResultOptions

    def __post_init__(self) -> None:
        """Check what no option can check alone."""
        names = [str(path) for path in self.model.artifact]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"got {repeated[0]} twice; expected each artifact once")
        frames, results = self.frames, self.results
        if self.parts.power_modes and results.baseline is not None:
            raise UsageError(
                "got --power-modes and --baseline; expected one of them: an earlier measurement "
                "tells of one mode"
            )
        rounds = min(frames.rounds, frames.count)
        check_budgets(results.fail_if, len(names), rounds, results.baseline is not None)


def parse_options(arguments: Sequence[str] | None = None) -> MeasureOptions:
    """Parse and check a command line; None means the process's own.

    Raises:
        UsageError: If it makes no sense, or an output could not be written.
    """
    namespace = build_parser().parse_args(arguments)
    options = MeasureOptions(
        model=group_from(ModelChoice, namespace),
        frames=group_from(FrameOptions, namespace),
        parts=group_from(PartOptions, namespace),
        results=group_from(ResultOptions, namespace),
    )
    for name in ("json", "html", "trace"):
        path = getattr(options.results, name)
        if path is not None:
            check_output(f"--{name}", path, ".html" if name == "html" else ".json")
    _check_distinct(options.results)
    return options


def _check_distinct(results: ResultOptions) -> None:
    """Refuse two uses of one file: a budget that is not kept must not become the next baseline.

    Raises:
        UsageError: If there are.
    """
    taken: dict[Path, str] = {}
    for name in ("baseline", "json", "html", "trace"):
        path = getattr(results, name)
        if path is None:
            continue
        if other := taken.get(path.resolve()):
            raise UsageError(
                f"--{name} got {path}, the file of --{other}; expected another; name one for each"
            )
        taken[path.resolve()] = name
