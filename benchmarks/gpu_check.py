"""Everything that needs an NVIDIA GPU, in one command: the GPU tests, then every GPU benchmark.

python -m benchmarks.gpu_check

Writes benchmarks/results/<gpu>-<date>.json. A part that cannot run here is recorded with its
reason, and a part that fails does not take the others' figures with it.
Exit status: 0 if all that ran passed, 1 if a test or a part failed, 2 without a GPU.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.common import DEFAULT_ROUNDS
from benchmarks.report import RESULTS, Findings, Surroundings, goal_text, report_body
from runtime.atomic_file import write_text
from runtime.command_line import CommandParser, check_output
from runtime.errors import BackendError, CornerRTError, run_command
from runtime.machine_facts import load_average, machine_facts
from runtime.trt_module import find_gpu

FORMAT = "cornerrt-gpu-check-1"
REPOSITORY = Path(__file__).resolve().parents[1]
FAILED = 1
# pytest's status when no test was selected, as on a checkout without tests/gpu.
NO_TESTS = 5


@dataclass(frozen=True)
class Part:
    """One benchmark of the check.

    Attributes:
        name: In the table and in the JSON.
        measure: Runs it for a number of rounds.
    """

    name: str
    measure: Callable[[int], Findings]


@dataclass
class Outcome:
    """What the check found.

    Attributes:
        tests: Counts of the GPU tests by result; empty if they were left out.
        parts: Findings by name.
        not_run: Reasons by name, of parts that this machine cannot run.
        failed: Errors by name.
    """

    tests: dict[str, int] = field(default_factory=dict)
    parts: dict[str, Findings] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The exit status."""
        bad_tests = self.tests.get("failed", 0) + self.tests.get("errors", 0)
        return FAILED if bad_tests or self.failed else 0

    def text(self) -> str:
        """Return the short table."""
        lines = []
        if self.tests:
            counts = ", ".join(f"{count} {name}" for name, count in self.tests.items())
            lines.append(f"GPU tests: {counts}")
        for name, findings in self.parts.items():
            lines.append(f"{name}:")
            lines += [f"  {goal_text(goal)}" for goal in findings.goals]
            lines += [f"  {label}: {text}" for label, text in absent_forms(findings).items()]
            lines += [
                f"  {label}: {ratio.of_medians:.3f}" for label, ratio in findings.ratios.items()
            ]
        lines += [f"{name}: not run: {reason}" for name, reason in self.not_run.items()]
        lines += [f"{name}: FAILED: {error}" for name, error in self.failed.items()]
        return "\n".join(lines)


def _corner_pooling(rounds: int) -> Findings:
    from benchmarks.gpu_corner_pool import measure

    return measure(rounds)


def _corner_decode(rounds: int) -> Findings:
    from benchmarks.gpu_corner_decode import measure

    return measure(rounds)


def _networks(rounds: int) -> Findings:
    from benchmarks.gpu_networks import measure

    return measure(rounds)


def _streaming(rounds: int) -> Findings:
    from benchmarks.gpu_streaming import measure

    return measure(rounds)


def _ceilings(rounds: int) -> Findings:
    from benchmarks.ceilings import measure

    return measure(rounds)


def _profile(rounds: int) -> Findings:
    from benchmarks.gpu_profile import measure

    return measure(rounds)


PARTS = (
    Part("ceilings", _ceilings),
    Part("corner_pooling", _corner_pooling),
    Part("corner_decode", _corner_decode),
    Part("networks", _networks),
    Part("streaming", _streaming),
    Part("profile", _profile),
)


def run_parts(parts: Sequence[Part], rounds: int, outcome: Outcome) -> None:
    """Run benchmarks one after the other; adds what came out to ``outcome``."""
    for part in parts:
        print(f"measuring {part.name}", flush=True)
        try:
            outcome.parts[part.name] = part.measure(rounds)
        except BackendError as error:  # this machine lacks a library
            outcome.not_run[part.name] = str(error)
        except ModuleNotFoundError as error:  # an environment without our extras
            outcome.not_run[part.name] = f"no module {error.name}; install it to measure this"
        except CornerRTError as error:
            outcome.failed[part.name] = str(error)
        except Exception as error:  # time on a GPU is precious: keep the other parts' figures
            outcome.failed[part.name] = f"{type(error).__name__}: {error}"


def absent_forms(findings: Findings) -> dict[str, str]:
    """Return what a part could not measure, with the reasons: facts that say "not run"."""
    return {
        label: fact
        for label, fact in findings.facts.items()
        if isinstance(fact, str) and fact.startswith("not run")
    }


def run_gpu_tests(folder: Path, marker: str = "gpu") -> dict[str, int]:
    """Run the tests that carry the marker ``gpu``; returns counts by result.

    Args:
        folder: Receives pytest's record.
        marker: Which tests to run.
    """
    record = folder / "gpu-tests.xml"
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-m", marker, f"--junitxml={record}"]
    done = subprocess.run(command, cwd=REPOSITORY, check=False)
    if done.returncode == NO_TESTS or not record.is_file():
        return {"passed": 0, "failed": 0, "errors": int(done.returncode != NO_TESTS), "skipped": 0}
    return read_counts(record)


def read_counts(record: Path) -> dict[str, int]:
    """Return the number of tests by result from pytest's JUnit record."""
    suite = ET.parse(record).getroot().find("testsuite")
    assert suite is not None  # pytest always writes one
    total, failed, errors, skipped = (
        int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
    )
    passed = total - failed - errors - skipped
    return {"passed": passed, "failed": failed, "errors": errors, "skipped": skipped}


def result_file(gpu_name: str, date: str) -> Path:
    """Return where the result of a GPU goes: its name in lower case, then the date."""
    slug = re.sub(r"[^a-z0-9]+", "-", gpu_name.lower()).strip("-")
    return RESULTS / f"{slug}-{date}.json"


def report_of(outcome: Outcome, where: Surroundings) -> str:
    """Return everything that was found, as JSON."""
    body: dict[str, Any] = {
        "format": FORMAT,
        "started": where.started,
        "machine": where.machine,
        "load_average": {"before": where.load_before, "after": where.load_after},
        "tests": outcome.tests,
        "parts": {name: report_body(findings) for name, findings in outcome.parts.items()},
        "not_run": outcome.not_run,
        "failed": outcome.failed,
    }
    return json.dumps(body, indent=1, allow_nan=False) + "\n"


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(
        prog="python -m benchmarks.gpu_check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [part.name for part in PARTS]
    add = parser.add_argument
    add("--parts", nargs="+", choices=names, default=names, help="default: all of them")
    add("--no-tests", action="store_true", help="measure only")
    add("--rounds", type=int, default=DEFAULT_ROUNDS, help="rounds that count; default %(default)s")
    add("--out", type=Path, metavar="F.json", help="default: benchmarks/results/<gpu>-<date>.json")
    return parser


def _run(options: argparse.Namespace) -> int:
    gpu = find_gpu()
    if gpu is None:
        raise BackendError(
            "no NVIDIA GPU with a driver was found; expected one; run this on the machine that "
            "the figures are for"
        )
    started = datetime.datetime.now(datetime.timezone.utc)
    out = options.out or result_file(gpu.name, started.date().isoformat())
    check_output("--out", out, ".json")
    load_before, outcome = load_average(), Outcome()
    if not options.no_tests and importlib.util.find_spec("pytest") is None:
        outcome.not_run["GPU tests"] = "no module pytest; install it to run them"
    elif not options.no_tests:
        with tempfile.TemporaryDirectory() as folder:
            outcome.tests = run_gpu_tests(Path(folder))
    run_parts([part for part in PARTS if part.name in options.parts], options.rounds, outcome)
    machine = machine_facts() | {"gpu": gpu.name, "compute_capability": gpu.compute_capability}
    where = Surroundings(
        machine, started.isoformat(timespec="seconds"), load_before, load_average()
    )
    print(outcome.text())
    write_text(out, report_of(outcome, where))
    print(f"wrote {out}")
    return outcome.status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
