"""What every benchmark command has in common: its options, its table and its JSON."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import DEFAULT_ROUNDS, MIN_ROUNDS, Goal, Ratio, Samples, spread_of
from runtime.atomic_file import write_text
from runtime.backends import available_cores
from runtime.command_line import CommandParser, check_output, positive
from runtime.errors import run_command
from runtime.machine_facts import busy_remark, load_average, machine_facts, machine_line

FORMAT = "cornerrt-benchmark-1"
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Findings:
    """What a benchmark measured.

    Attributes:
        settings: What was run, for JSON: files, sizes, threads.
        samples_ms: One value per round, by label.
        ratios: Comparisons, by label.
        goals: Figures with a limit, whether met or missed.
        facts: What was counted rather than timed, such as file sizes, for JSON.
    """

    settings: dict[str, Any]
    samples_ms: Samples
    ratios: dict[str, Ratio] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Surroundings:
    """Where and when a benchmark ran.

    Attributes:
        machine: From ``machine_facts``.
        started: UTC, ISO 8601.
        load_before: Load average of the last minute when it began.
        load_after: The same when it ended.
    """

    machine: dict[str, Any]
    started: str
    load_before: float | None
    load_after: float | None


def benchmark_parser(name: str, description: str | None) -> CommandParser:
    """Return a parser with the options of every benchmark: --out, --rounds, --threads."""
    parser = CommandParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, metavar="F.json", help=f"default: benchmarks/results/{name}-<date>")
    add(
        "--rounds",
        type=_rounds,
        default=DEFAULT_ROUNDS,
        metavar="N",
        help=f"rounds that count, at least {MIN_ROUNDS}; default %(default)s",
    )
    add(
        "--threads",
        type=positive,
        default=available_cores(),
        metavar="N",
        help="CPU threads of a network; default: all cores, %(default)s here",
    )
    return parser


def run_benchmark(
    name: str,
    parser: CommandParser,
    argv: Sequence[str] | None,
    measure: Callable[[argparse.Namespace], Findings],
) -> int:
    """Run a benchmark command: parse, measure, print the table, write the JSON.

    Returns:
        The exit status: 0 also when a goal was missed, which is a finding; 2 after bad input.
    """

    def body() -> int:
        options = parser.parse_args(argv)
        started = datetime.datetime.now(datetime.timezone.utc)
        out = options.out or RESULTS / f"{name}-{started.date().isoformat()}.json"
        check_output("--out", out, ".json")
        load_before = load_average()
        findings = measure(options)
        where = Surroundings(
            machine_facts(), started.isoformat(timespec="seconds"), load_before, load_average()
        )
        print(report_text(name, findings, where))
        write_text(out, report_json(name, findings, where))
        print(f"wrote {out}")
        return 0

    return run_command(body)


def report_json(name: str, findings: Findings, where: Surroundings) -> str:
    """Return everything that was measured, with all single values, as JSON."""
    body = {
        "format": FORMAT,
        "benchmark": name,
        "started": where.started,
        "machine": where.machine,
        "load_average": {"before": where.load_before, "after": where.load_after},
        **report_body(findings),
    }
    return json.dumps(body, indent=1, allow_nan=False) + "\n"


def report_body(findings: Findings) -> dict[str, Any]:
    """Return one benchmark's findings, ready for JSON."""
    samples = {
        label: {**dataclasses.asdict(spread_of(values)), "values": values}
        for label, values in findings.samples_ms.items()
    }
    goals = [
        {
            "name": goal.name,
            "value": goal.value,
            "sense": goal.sense.value,
            "limit": goal.limit,
            "met": goal.is_met,
        }
        for goal in findings.goals
    ]
    return {
        "settings": findings.settings,
        "facts": findings.facts,
        "samples_ms": samples,
        "ratios": {label: dataclasses.asdict(ratio) for label, ratio in findings.ratios.items()},
        "goals": goals,
    }


def report_text(name: str, findings: Findings, where: Surroundings) -> str:
    """Return what was measured as text for people."""
    lines = [f"{name}: {machine_line(where.machine)}"]
    lines += [f"{key}: {value}" for key, value in (findings.settings | findings.facts).items()]
    spreads = {label: spread_of(values) for label, values in findings.samples_ms.items()}
    rows = [
        (
            label,
            f"{s.median:.3f}",
            f"{s.q1:.3f}",
            f"{s.q3:.3f}",
            str(len(findings.samples_ms[label])),
        )
        for label, s in spreads.items()
    ]
    lines.append(table_text(("milliseconds", "median", "q1", "q3", "rounds"), rows))
    if findings.ratios:
        ratio_rows = [
            (label, f"{r.of_medians:.3f}", f"{r.q1:.3f}", f"{r.q3:.3f}")
            for label, r in findings.ratios.items()
        ]
        lines.append(table_text(("ratio", "of medians", "q1", "q3"), ratio_rows))
    lines += [goal_text(goal) for goal in findings.goals]
    remark = busy_remark(where.load_before, where.machine["cores"])
    return "\n".join([*lines, remark] if remark else lines)


def goal_text(goal: Goal) -> str:
    """Return one line about a goal."""
    verdict = "met   " if goal.is_met else "MISSED"
    return f"goal {verdict} {goal.name}: {goal.value:.3f}, {goal.sense.value} {goal.limit:g}"


def table_text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns: the first to the left, all others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = []
    for first, *others in (head, *rows):
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < MIN_ROUNDS:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected a whole number from {MIN_ROUNDS}: fewer give no quartiles"
        )
    return int(text)
