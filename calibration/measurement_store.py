"""Finished measurements in a file, so that a long run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from runtime.atomic_file import write_text


class MeasurementStore:
    """Figures by the set of convolutions that were left in float.

    Args:
        path: The JSON file; None keeps them in memory only.
        key: Everything that the figures depend on, by name: digests and options. Figures of
            another key are forgotten.
    """

    def __init__(self, path: Path | None = None, key: Mapping[str, str] | None = None) -> None:
        self._path, self._key = path, dict(key or {})
        self._figures: dict[str, float] = {}
        self.changed: tuple[str, ...] = ()
        if path is not None and path.is_file():
            self._read(path)

    def __len__(self) -> int:
        """Return the number of figures."""
        return len(self._figures)

    def get(self, floats: Iterable[str]) -> float | None:
        """Return the figure with these convolutions in float, None if it was not measured."""
        return self._figures.get(_name(floats))

    def put(self, floats: Iterable[str], figure: float) -> None:
        """Keep a figure; the file is written at once, completely or not at all."""
        self._figures[_name(floats)] = figure
        if self._path is not None:
            body = {"key": self._key, "figures": self._figures}
            write_text(self._path, json.dumps(body, indent=1) + "\n")

    def _read(self, path: Path) -> None:
        """Take over the figures of a file, unless something has changed since."""
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            key = {str(name): str(value) for name, value in body["key"].items()}
            figures = {str(name): float(value) for name, value in body["figures"].items()}
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            self.changed = ("file",)
            return
        self.changed = tuple(
            name for name in {**key, **self._key} if key.get(name) != self._key.get(name)
        )
        if not self.changed:
            self._figures = figures


def _name(floats: Iterable[str]) -> str:
    """Return a short name of a set of convolutions."""
    text = "\n".join(sorted(floats))
    return hashlib.sha256(text.encode()).hexdigest()[:24] if text else "all INT8"
