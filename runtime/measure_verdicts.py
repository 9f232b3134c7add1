"""What a measurement says of artifacts beside each other, beside an earlier one, and of budgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.backends import load_backend
from runtime.baseline import check_conditions, compare_with_baseline, find_references
from runtime.budget_judgement import Judgement, judge_budgets
from runtime.comparison import compare_runs
from runtime.contract import read_contract
from runtime.measurement import Comparison, Measurement, Run
from runtime.options_measure import ModelChoice
from runtime.regression_budget import Budget
from runtime.round_bootstrap import Pairing

COMPARED_STAGES = ("", "network")  # all of a frame's way, and what the artifact alone decides


@dataclass(frozen=True)
class NamedArtifact:
    """What is known of an artifact before it is measured; fields as in ``Run``."""

    artifact: str
    sha256: str
    model: str
    size_hw: tuple[int, int]
    precision: str
    backend: str


@dataclass(frozen=True)
class EarlierRuns:
    """What artifacts are compared with, from a file.

    Attributes:
        path: The file.
        runs: One for each artifact, in their order.
    """

    path: Path
    runs: tuple[Run, ...]


def earlier_runs(
    path: Path,
    earlier: Measurement,
    model: ModelChoice,
    now: tuple[Mapping[str, Any], Mapping[str, Any]],
    say: Callable[[str], None],
) -> EarlierRuns:
    """Find the earlier run of each artifact, before the long measurement.

    Args:
        path: The earlier measurement's file.
        earlier: What it holds.
        model: What will be measured.
        now: The machine and the settings.
        say: Takes what makes the comparison weaker, line by line.

    Raises:
        UsageError: If they cannot be compared.
        BackendError: If no backend here runs an artifact.
        ContractError: If an artifact's contract is missing or malformed.
    """
    notices = check_conditions(path, earlier, *now)
    references = find_references(path, earlier, [_named(a, model) for a in model.artifact])
    for line in (*notices, *references.notices):
        say(f"--baseline {path}: {line}")
    return EarlierRuns(path, references.runs)


def compare_all(runs: Sequence[Run], earlier: EarlierRuns | None) -> tuple[Comparison, ...]:
    """Compare all artifacts with the first, and each with its earlier run if there is one.

    Raises:
        UsageError: If the device was in another power mode then.
    """
    comparisons: list[Comparison] = []
    for stage in COMPARED_STAGES:
        rounds = {run.artifact: _rounds_of(run, stage) for run in runs}
        comparisons += compare_runs(rounds, stage)
    if earlier is not None:
        comparisons += compare_with_baseline(earlier.path, runs, earlier.runs)
    return tuple(comparisons)


def judge_all(
    budgets: Sequence[Budget], runs: Sequence[Run], earlier: EarlierRuns | None
) -> tuple[Judgement, ...]:
    """Judge budgets against the earlier runs, or else against the first artifact.

    Raises:
        UsageError: If a figure was not measured.
    """
    if earlier is not None:
        return judge_budgets(budgets, runs, earlier.runs, Pairing.SEPARATE)
    references = [None, *[runs[0]] * (len(runs) - 1)]
    return judge_budgets(budgets, runs, references, Pairing.INTERLEAVED)


def _rounds_of(run: Run, stage: str) -> Sequence[Sequence[float]]:
    if not stage:
        return run.journey.rounds_ms
    return next(own.rounds_ms for own in run.journey.stages if own.stage == stage)


def _named(artifact: Path, model: ModelChoice) -> NamedArtifact:
    contract = read_contract(artifact, verify=False)
    return NamedArtifact(
        artifact=str(artifact),
        sha256=contract.artifact_sha256,
        model=contract.name,
        size_hw=contract.size_hw,
        precision=contract.precision,
        backend=load_backend(model.backend, contract.target, model.threads or 1).name,
    )
