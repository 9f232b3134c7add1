"""A machine of planted facts."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.machine import PROGRAM_TIMEOUT_S, Answer, Machine

ABSENT = Answer(False, "No such file or directory")


class FakeMachine(Machine):
    """Has the files, programs and modules that a test gives it, and no others.

    Args:
        root: An empty folder for its files.
        programs: What commands print, by how the command line begins; the longest match counts.
        pythons: What lines of Python print, by a part of the line.
        modules: Names of installed modules.
        elements: Names of GStreamer elements.
    """

    def __init__(
        self,
        root: Path,
        programs: Mapping[str, str | Answer] | None = None,
        pythons: Mapping[str, str | Answer] | None = None,
        modules: Sequence[str] = (),
        elements: Sequence[str] = (),
    ) -> None:
        super().__init__(root, root / "work")
        self._programs = dict(programs or {})
        self._pythons = dict(pythons or {})
        self._modules = frozenset(modules)
        self._elements = frozenset(elements)
        self.closed: set[str] = set()  # files that this user may not open
        self.answers: dict[str, bytes] = {}  # of devices, to a query
        self.commands: list[str] = []

    def add(self, name: str, text: str = "") -> FakeMachine:
        """Plant a file."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return self

    def add_camera(self, number: int, card: str, driver: str = "uvcvideo", caps: int = 1) -> None:
        """Plant a V4L2 device."""
        self.add(f"/dev/video{number}")
        self.add(f"/sys/class/video4linux/video{number}/name", f"{card}\n")
        self.answers[f"/dev/video{number}"] = struct.pack(
            "=16s32s32sIII12x",
            *(text.encode() for text in (driver, card, f"usb-{number}")),
            0x60800,
            0x80000000 | 0xFF,
            caps,
        )

    def may_open(self, name: str) -> bool:
        return self.exists(name) and name not in self.closed

    def query(self, name: str, request: int, size: int) -> bytes | None:
        return self.answers.get(name)

    def run(self, *command: str, timeout_s: float = PROGRAM_TIMEOUT_S) -> Answer:
        line = " ".join(command)
        self.commands.append(line)
        matches = [key for key in self._programs if line.startswith(key)]
        return _answer(self._programs[max(matches, key=len)]) if matches else ABSENT

    def run_python(self, code: str) -> Answer:
        matches = [key for key in self._pythons if key in code]
        if not matches:
            return Answer(False, "ModuleNotFoundError: no such module")
        return _answer(self._pythons[max(matches, key=len)])

    def has_module(self, name: str) -> bool:
        return name in self._modules

    def elements(self, names: Sequence[str]) -> frozenset[str]:
        return self._elements & frozenset(names)


def _answer(planted: str | Answer) -> Answer:
    return planted if isinstance(planted, Answer) else Answer(True, planted)
