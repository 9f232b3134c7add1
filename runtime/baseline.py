"""Comparing with an earlier measurement: what must be the same, and what is worth a notice.

Times of another processor, another number of threads, another power mode or another network say
nothing about a change: those are errors. A rebuilt artifact, another clip or a newer library may be
the very change that is looked for, or a mistake: those are notices, one line each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runtime.comparison import compare_with
from runtime.errors import UsageError
from runtime.measurement import Comparison, Measurement, Run
from runtime.round_bootstrap import Pairing

# Of ``machine_facts``: what makes times of two machines incomparable.
SAME_MACHINE = ("cpu", "cores", "gpu")
SAME_SETTINGS = ("threads",)
OTHER_DAY = (
    "its rounds did not take turns with today's: intervals tell the spread within each "
    "measurement, not what changed on the machine between them"
)


class Artifact(Protocol):
    """What is known of an artifact before it is measured; a ``Run`` is one."""

    @property
    def artifact(self) -> str:
        """Its path as it was given."""
        ...

    @property
    def sha256(self) -> str:
        """Its digest."""
        ...

    @property
    def model(self) -> str:
        """Its name in the contract."""
        ...

    @property
    def size_hw(self) -> tuple[int, int]:
        """Of the network's input."""
        ...

    @property
    def precision(self) -> str:
        """As in the contract."""
        ...

    @property
    def backend(self) -> str:
        """What runs it."""
        ...


@dataclass(frozen=True)
class References:
    """What artifacts are compared with.

    Attributes:
        runs: One earlier run for each artifact, in their order.
        notices: What makes the comparison weaker, one line each.
    """

    runs: tuple[Run, ...]
    notices: tuple[str, ...]


def check_conditions(
    path: Path, earlier: Measurement, machine: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[str, ...]:
    """Refuse an earlier measurement of another machine or with settings that change all times.

    Call it before measuring.

    Args:
        path: The earlier measurement's file, for messages.
        earlier: What it holds.
        machine: Of now, from ``machine_facts``.
        settings: Of now, as ``Measurement.settings``.

    Returns:
        What makes the comparison weaker, one line each, without the file's name.

    Raises:
        UsageError: If times cannot be compared.
    """
    for key in SAME_MACHINE:
        then, now = earlier.machine.get(key), machine.get(key)
        if then != now:
            raise UsageError(
                f"--baseline {path} is of another machine: {key} {_show(then)}; expected "
                f"{_show(now)}; measure the baseline on this machine"
            )
    for key in SAME_SETTINGS:
        if earlier.settings.get(key) != settings.get(key):
            raise UsageError(
                f"--baseline {path} was measured with {key} {_show(earlier.settings.get(key))}; "
                f"got {_show(settings.get(key))} now; measure one of them again with the other's"
            )
    return (
        OTHER_DAY,
        *_differences(earlier.machine, machine, SAME_MACHINE),
        *_differences(earlier.settings, settings, SAME_SETTINGS),
    )


def find_references(path: Path, earlier: Measurement, artifacts: Sequence[Artifact]) -> References:
    """Find for each artifact the earlier run that it is compared with.

    Of runs of the same network and size it is the one of the same file, else of the same precision,
    backend and path, in this order. Call it before measuring.

    Args:
        path: The earlier measurement's file, for messages.
        earlier: What it holds.
        artifacts: What is measured now.

    Raises:
        UsageError: If there is no run of the same network and size, or one without its frames.
    """
    runs, notices = [], []
    for artifact in artifacts:
        run = _nearest(path, earlier.runs, artifact)
        if not run.journey.rounds_ms:
            raise UsageError(
                f"--baseline {path} holds no times of single frames of {run.artifact}; expected "
                "them by round; measure the baseline again"
            )
        runs.append(run)
        notices += _artifact_notices(artifact, run)
    return References(tuple(runs), tuple(notices))


def compare_with_baseline(
    path: Path, runs: Sequence[Run], references: Sequence[Run]
) -> tuple[Comparison, ...]:
    """Compare what was measured now with earlier runs.

    Args:
        path: The earlier measurement's file; the comparisons' baseline.
        runs: What was measured.
        references: The earlier run of each.

    Returns:
        One entry per figure of every run.

    Raises:
        UsageError: If the device worked in another power mode.
    """
    comparisons: list[Comparison] = []
    for run, reference in zip(runs, references, strict=True):
        _check_power_mode(path, run, reference)
        own, base = run.journey.rounds_ms, reference.journey.rounds_ms
        comparisons += compare_with((run.artifact, own), (str(path), base), Pairing.SEPARATE)
    return tuple(comparisons)


def _nearest(path: Path, runs: Sequence[Run], artifact: Artifact) -> Run:
    """Return the run that is most like an artifact."""
    candidates = [
        run for run in runs if (run.model, run.size_hw) == (artifact.model, artifact.size_hw)
    ]
    if not candidates:
        held = ", ".join(_network(run) for run in runs) or "no runs"
        raise UsageError(
            f"--baseline {path} holds {held}; expected {_network(artifact)} as "
            f"{artifact.artifact} is; name a measurement of it, or measure both in one call"
        )

    def likeness(run: Run) -> tuple[bool, ...]:
        return (
            run.sha256 == artifact.sha256,
            run.precision == artifact.precision,
            run.backend == artifact.backend,
            run.artifact == artifact.artifact,
        )

    return max(candidates, key=likeness)


def _artifact_notices(artifact: Artifact, run: Run) -> list[str]:
    """Say in which way an artifact is not the one of the earlier run."""
    notices = [
        f"{artifact.artifact} has {name} {_show(getattr(artifact, name))}, the baseline's "
        f"{run.artifact} has {_show(getattr(run, name))}"
        for name in ("precision", "backend")
        if getattr(run, name) != getattr(artifact, name)
    ]
    if run.sha256 != artifact.sha256 and not notices:
        notices.append(f"{artifact.artifact} is not the baseline's file: digests differ")
    return notices


def _check_power_mode(path: Path, run: Run, reference: Run) -> None:
    if run.device is None or reference.device is None:
        return
    now, then = run.device.power_mode, reference.device.power_mode
    if now != then:
        raise UsageError(
            f"--baseline {path} was measured in power mode {_show(then)}; got {_show(now)} now; "
            "set the same mode and measure again"
        )


def _differences(
    earlier: Mapping[str, Any], now: Mapping[str, Any], apart_from: Sequence[str]
) -> list[str]:
    """Return a line for each value that differs; of a table within, for each of its values."""
    lines = []
    for key in [*now, *(key for key in earlier if key not in now)]:
        then_value, value = earlier.get(key), now.get(key)
        if key in apart_from or then_value == value:
            continue
        if isinstance(then_value, dict) and isinstance(value, dict):
            lines += _differences(then_value, value, ())
        else:
            lines.append(f"its {key} was {_show(then_value)}, now {_show(value)}")
    return lines


def _network(artifact: Artifact) -> str:
    height, width = artifact.size_hw
    return f"{artifact.model} {width}x{height}"


def _show(value: object) -> str:
    return "unknown" if value is None else repr(value) if value == "" else str(value)
