"""What this machine can do, and what to install for the rest: ``stream.py --doctor``.

It also runs where OpenCV is missing: python runtime/doctor.py
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from runtime.command_line import CommandParser
from runtime.doctor_inference import check_artifacts, check_backends, check_plugins
from runtime.doctor_media import check_cameras, check_gstreamer, check_libraries, check_opencv
from runtime.doctor_system import (
    check_jetson,
    check_power,
    check_python,
    check_rails,
    check_systemd,
)
from runtime.errors import run_command
from runtime.findings import Ability, Finding, note
from runtime.machine import Machine

Check = Callable[[Machine], list[Finding]]

SECTIONS: dict[str, tuple[Check, ...]] = {
    "system": (check_python, check_jetson, check_power, check_rails, check_systemd),
    "networks": (check_backends, check_plugins, check_artifacts),
    "pictures": (check_opencv, check_gstreamer, check_cameras),
    "optional libraries": (check_libraries,),
}
# For all checks together, which run side by side: longer than any program they ask is given.
TIMEOUT_S = 40.0


def run_doctor(
    machine: Machine | None = None,
    sections: dict[str, tuple[Check, ...]] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Print what was found.

    Args:
        machine: To look at; this one if left out.
        sections: Checks by the title under which their findings stand; all if left out.
        timeout_s: A check that takes longer is reported as such and left behind.

    Returns:
        Exit status: 0 if a network can run on pictures here, which takes OpenCV and a backend;
        else 2. What only some features need, and whether a model was built, changes nothing.
    """
    sections = SECTIONS if sections is None else sections
    checks = [check for group in sections.values() for check in group]
    findings = _run_all(checks, machine or Machine(), timeout_s)
    for title, group in sections.items():
        print(title)
        for check in group:
            for finding in findings[check]:
                print("\n".join(finding.lines()))
    abilities = {finding.ability for found in findings.values() for finding in found}
    absent = [ability.value for ability in Ability if ability not in abilities]
    if absent:
        print(f"a stream cannot run here yet: it lacks {' and '.join(absent)}")
        return 2
    print("a stream can run here")
    return 0


def _run_all(
    checks: Sequence[Check], machine: Machine, timeout_s: float
) -> dict[Check, list[Finding]]:
    """Run the checks side by side, most of which wait for other programs."""
    done: queue.SimpleQueue[tuple[Check, list[Finding]]] = queue.SimpleQueue()

    def run(check: Check) -> None:
        done.put((check, _findings_of(check, machine)))

    for check in checks:
        # A daemon: a driver that hangs must not keep the process.
        threading.Thread(target=run, args=(check,), daemon=True).start()
    slow = f"took longer than {timeout_s:g} s"
    findings = {check: [note(f"{_name_of(check)} {slow}")] for check in checks}
    deadline = time.monotonic() + timeout_s
    for _ in checks:
        try:
            check, found = done.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        findings[check] = found
    return findings


def _findings_of(check: Check, machine: Machine) -> list[Finding]:
    """Run a check; one that fails says so, and the others go on."""
    try:
        return check(machine)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return [note(f"{_name_of(check)} could not be finished ({reason})")]


def _name_of(check: Check) -> str:
    return getattr(check, "__name__", "check").replace("_", " ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(prog="python -m runtime.doctor", description=__doc__)

    def run() -> int:
        parser.parse_args(arguments)
        return run_doctor()

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
