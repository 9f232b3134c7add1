"""Engines timed against each other, with backends that take a known time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from export import fastest_decode
from export.fastest_decode import time_engines
from runtime.backend_synthetic import SyntheticBackend
from runtime.errors import BackendError


class Counting(SyntheticBackend):
    """Takes a known time, on a clock of its own, and says when it is closed."""

    clock_ns = 0

    def __init__(self, name: str, time_ms: float, closed: list[str]) -> None:
        super().__init__()
        self.label, self.time_ms, self.closed = name, time_ms, closed
        self.open()

    def infer(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        Counting.clock_ns += round(self.time_ms * 1e6)
        return {}

    def open(self, artifact: Path | None = None) -> None:
        self._frames = 0
        from runtime.backend_synthetic import SYNTHETIC_CONTRACT

        self.contract = SYNTHETIC_CONTRACT

    def close(self) -> None:
        self.closed.append(self.label)


def pretend(monkeypatch: pytest.MonkeyPatch, times_ms: dict[str, float]) -> list[str]:
    """Let artifacts of these names take these times; returns the list of those closed."""
    closed: list[str] = []

    def open_backend(artifact: Path) -> Counting:
        if artifact.name not in times_ms:
            raise BackendError("no backend here runs it")
        return Counting(artifact.name, times_ms[artifact.name], closed)

    monkeypatch.setattr(fastest_decode, "open_backend", open_backend)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: Counting.clock_ns)
    return closed


def test_each_engine_gets_its_time_and_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = pretend(monkeypatch, {"a": 2.0, "b": 0.5})
    times_ms = time_engines({"plugin": Path("a"), "graph": Path("b")})
    assert times_ms == {"plugin": pytest.approx(2.0), "graph": pytest.approx(0.5)}
    assert sorted(closed) == ["a", "b"]


def test_an_engine_that_cannot_run_here_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = pretend(monkeypatch, {"a": 2.0})
    with pytest.raises(BackendError, match="no backend here"):
        time_engines({"plugin": Path("a"), "graph": Path("b")})
    assert closed == ["a"]
