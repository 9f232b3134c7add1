"""What the doctor says of one thing."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """How a thing stands; values are what users see."""

    OK = "ok"
    MISSING = "missing"  # something that was asked for by most, or that breaks a stream
    NOTE = "note"  # not there, slower or unusual, and many do without


class Ability(enum.Enum):
    """What a stream needs at least."""

    PICTURES = "OpenCV"
    NETWORK = "a backend that runs a network"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        verdict: How it stands.
        text: What was found.
        needed_for: Who misses it; may be empty.
        remedy: What to type, or to do; may be empty.
        ability: What a stream gets by it.
    """

    verdict: Verdict
    text: str
    needed_for: str = ""
    remedy: str = ""
    ability: Ability | None = None

    def lines(self) -> list[str]:
        """Return it as text, indented."""
        need = f" (for {self.needed_for})" if self.needed_for else ""
        first = f"  {self.verdict.value:<8} {self.text}{need}"
        return [first, f"           -> {self.remedy}"] if self.remedy else [first]


def ok(text: str, ability: Ability | None = None) -> Finding:
    """Return that something is there and works."""
    return Finding(Verdict.OK, text, ability=ability)


def missing(text: str, needed_for: str, remedy: str) -> Finding:
    """Return that something is not there, or broken."""
    return Finding(Verdict.MISSING, text, needed_for, remedy)


def note(text: str, needed_for: str = "", remedy: str = "") -> Finding:
    """Return what is worth knowing and no fault."""
    return Finding(Verdict.NOTE, text, needed_for, remedy)
