"""What the two studies of INT8 accuracy share as commands: options, text, JSON."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.int8_accuracy_bench import BUILD, SHAPES, SOURCE
from benchmarks.report import RESULTS, Findings, Surroundings, goal_text, report_json
from runtime.atomic_file import write_text
from runtime.backends import available_cores
from runtime.command_line import CommandParser, check_output, positive, seed
from runtime.errors import run_command
from runtime.machine_facts import busy_remark, load_average, machine_facts, machine_line

SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Study:
    """What a study found.

    Attributes:
        findings: For JSON.
        table: For people.
    """

    findings: Findings
    table: str


def study_parser(name: str, description: str | None) -> CommandParser:
    """Return a parser with the options that both studies have."""
    parser = CommandParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--onnx", type=Path, default=SOURCE, metavar="F.onnx", help="portable FP32 model")
    add("--data", type=Path, default=SHAPES / "val", metavar="DIR", help="to measure on")
    add("--pool", type=Path, default=SHAPES / "train-more", metavar="DIR", help="to calibrate with")
    add("--seeds", type=seed, nargs="+", default=list(SEEDS), metavar="N", help="of the choice")
    add("--limit", type=positive, metavar="N", help="measure on the first N images only")
    add("--threads", type=positive, default=available_cores(), help="CPU threads of a network")
    add("--work", type=Path, default=BUILD / name, metavar="DIR", help="finished models, figures")
    add("--out", type=Path, metavar="F.json", help=f"default: benchmarks/results/{name}-<date>")
    add("--quick", action="store_true", help="a few images, into --work: does it run?")
    return parser


def run_study(
    name: str,
    parser: CommandParser,
    argv: Sequence[str] | None,
    measure: Callable[[argparse.Namespace], Study],
) -> int:
    """Run a study: parse, measure, print its table, write the JSON.

    Args:
        name: Of the command and its result.
        parser: From ``study_parser``.
        argv: The command's words.
        measure: Gets the options, with ``work`` and ``out`` as they are to be used.

    Returns:
        The exit status: 0 also when a goal was missed, which is a finding; 2 after bad input.
    """

    def body() -> int:
        options = parser.parse_args(argv)
        started = datetime.datetime.now(datetime.timezone.utc)
        options.work /= "quick" if options.quick else "full"
        folder = options.work if options.quick else RESULTS
        options.out = options.out or folder / f"{name}-{started.date().isoformat()}.json"
        check_output("--out", options.out, ".json")
        load_before = load_average()
        study = measure(options)
        where = Surroundings(
            machine_facts(), started.isoformat(timespec="seconds"), load_before, load_average()
        )
        remark = busy_remark(where.load_before, where.machine["cores"])
        goals = [goal_text(goal) for goal in study.findings.goals]
        print(machine_line(where.machine), study.table, *goals, remark, sep="\n")
        write_text(options.out, report_json(name, study.findings, where))
        print(f"wrote {options.out}")
        return 0

    return run_command(body)
