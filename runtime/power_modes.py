"""Measures in every power mode of a Jetson: asks first, and restores the first mode after."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Generic, TypeVar

from runtime.errors import UsageError
from runtime.machine import Answer, Machine
from runtime.nvpmodel import CONFIGURATION, PowerMode, parse_current, parse_modes

# Until clocks and the supply have followed.
SETTLE_S = 5.0
# A mode that turns cores on or off takes some seconds.
SWITCH_TIMEOUT_S = 30.0
# What nvpmodel says where a mode needs a reboot. It asks on the terminal, which it is not given:
# it then changes nothing.
NEEDS_REBOOT = re.compile(r"reboot|no request for power mode", re.IGNORECASE)
CPU_CLOCKS = "/sys/devices/system/cpu/cpu0/cpufreq"
# What ends a program before its time: Ctrl-C, systemd or kill, a terminal that is closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Result = TypeVar("Result")


@dataclass(frozen=True)
class ModeRun(Generic[Result]):
    """What came of one power mode.

    Attributes:
        mode: Which.
        result: What was measured; None if the mode was left out.
        note: Why it was left out; "" if it was not.
    """

    mode: PowerMode
    result: Result | None
    note: str


def list_power_modes(machine: Machine) -> tuple[PowerMode, ...]:
    """Return the power modes of this Jetson by number.

    Raises:
        UsageError: If there are none.
    """
    modes = parse_modes(machine.run("nvpmodel", "-p", "--verbose").text)
    modes = modes or parse_modes(machine.read(f"/{CONFIGURATION}"))
    if not modes:
        raise UsageError(
            "found no power modes: nvpmodel lists none; expected a Jetson, outside of a container; "
            "leave --power-modes away"
        )
    return modes


def confirm(question: str, is_yes: bool) -> bool:
    """Ask on the terminal.

    Args:
        question: In one line.
        is_yes: Whether ``--yes`` was given, which answers it.

    Raises:
        UsageError: If there is no terminal to ask on.
    """
    if is_yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            "--power-modes got no terminal to ask on before it changes power modes; expected one, "
            "or --yes"
        )
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def walk_power_modes(
    machine: Machine,
    ask: Callable[[str], bool],
    measure: Callable[[PowerMode], Result],
    sleep: Callable[[float], None] = time.sleep,
) -> list[ModeRun[Result]]:
    """Measure in every power mode, and restore the mode of before, whatever happens.

    A mode that needs a reboot is left out with a note. Where ``jetson_clocks`` held the clocks,
    it holds them again afterwards.

    Args:
        machine: Whose programs are run.
        ask: Gets a question and says whether to go on; ``confirm`` asks on the terminal.
        measure: Called in every mode, with it.
        sleep: Waits; given by tests.

    Returns:
        One entry for each mode, by number.

    Raises:
        UsageError: If there are no modes, this user may not change them, the user said no, or the
            mode of before could not be restored.
    """
    modes = list_power_modes(machine)
    first = _current_mode(machine)
    names = ", ".join(str(mode) for mode in modes)
    if not ask(f"Switch through the power modes {names}, and back to {first} at the end?"):
        raise UsageError("power modes are left as they are; expected yes; leave --power-modes away")
    _check_permission(machine)
    runs: list[ModeRun[Result]] = []
    with _endings_raised(), _clocks_restored(machine), _mode_restored(machine, first):
        for mode in modes:
            note = "" if _is_set(machine, mode) else _switch(machine, mode)
            if note:
                print(f"{mode} left out: {note}", file=sys.stderr)
                runs.append(ModeRun(mode, None, note))
                continue
            sleep(SETTLE_S)
            runs.append(ModeRun(mode, measure(mode), ""))
    return runs


def _current_mode(machine: Machine) -> PowerMode:
    answer = machine.run("nvpmodel", "-q")
    mode = parse_current(answer.text)
    if mode is None:
        said = " ".join(answer.text.split())
        raise UsageError(
            f"nvpmodel -q names no power mode ({said}); expected one; try: sudo nvpmodel -q"
        )
    return mode


def _is_set(machine: Machine, mode: PowerMode) -> bool:
    """Say whether a mode is the current one, by its number: names are told in several ways."""
    return _current_mode(machine).number == mode.number


def _switch(machine: Machine, mode: PowerMode) -> str:
    """Set a mode; return "" or why it is not set."""
    answer = _run_as_root(machine, "nvpmodel", "-m", str(mode.number))
    if _is_set(machine, mode):
        return ""
    if answer.succeeded or NEEDS_REBOOT.search(answer.text):
        return f"it needs a reboot: sudo nvpmodel -m {mode.number}"
    return f"nvpmodel failed: {' '.join(answer.text.split())}"


def _check_permission(machine: Machine) -> None:
    # Not another program: sudo may be open to this one alone.
    answer = _run_as_root(machine, "nvpmodel", "-q")
    if not answer.succeeded:
        raise UsageError(
            f"power modes are changed by root ({' '.join(answer.text.split())}); expected sudo "
            "without a question; run sudo -v first, or the whole command with sudo"
        )


def _run_as_root(machine: Machine, *command: str) -> Answer:
    prefix = () if os.geteuid() == 0 else ("sudo", "-n")
    return machine.run(*prefix, *command, timeout_s=SWITCH_TIMEOUT_S)


@contextmanager
def _mode_restored(machine: Machine, first: PowerMode) -> Iterator[None]:
    try:
        yield
    finally:
        with _endings_ignored():
            note = _restore(machine, first)
        if note:
            raise UsageError(
                f"power mode {first} could not be restored: {note}; expected it to be set; run: "
                f"sudo nvpmodel -m {first.number}"
            )


def _restore(machine: Machine, first: PowerMode) -> str:
    """Set the mode of before; return "" or why it is not set."""
    try:
        return "" if _is_set(machine, first) else _switch(machine, first)
    except UsageError as error:
        return str(error)


@contextmanager
def _clocks_restored(machine: Machine) -> Iterator[None]:
    """Let ``jetson_clocks`` hold the clocks again that a change of modes lets go."""
    if not _are_clocks_held(machine):
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = str(Path(folder) / "clocks")
        stored = _run_as_root(machine, "jetson_clocks", "--store", kept)
        try:
            yield
        finally:
            with _endings_ignored():
                answer = stored
                if stored.succeeded:
                    answer = _run_as_root(machine, "jetson_clocks", "--restore", kept)
            if not answer.succeeded:
                print("clocks were not restored; run: sudo jetson_clocks", file=sys.stderr)


def _are_clocks_held(machine: Machine) -> bool:
    low, high = (machine.read(f"{CPU_CLOCKS}/scaling_{end}_freq") for end in ("min", "max"))
    return bool(low) and low == high


@contextmanager
def _endings_raised() -> Iterator[None]:
    """Turn what ends a program at once into an exception, so that it restores the mode first."""
    with _handlers(_raise_ending, ENDING[1:]):
        yield


@contextmanager
def _endings_ignored() -> Iterator[None]:
    """Keep a second Ctrl-C from stopping the restoring."""
    with _handlers(signal.SIG_IGN, ENDING):
        yield


@contextmanager
def _handlers(
    handler: signal.Handlers | Callable[[int, FrameType | None], None],
    numbers: tuple[signal.Signals, ...],
) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)


def _raise_ending(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
