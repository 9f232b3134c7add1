"""Nested phases on one bar, and Ctrl-C that never crosses TensorRT's frames."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from export.build_progress import BuildProgress, monitor_of, start_progress


class Bar:
    """Keeps what a tqdm bar would show."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.closed = False
        self.text = ""

    def update(self, steps: int) -> None:
        self.done += steps

    def set_description(self, text: str, refresh: bool) -> None:
        self.text = text

    def close(self) -> None:
        self.closed = True


def test_nested_phases_end_with_every_step_done() -> None:
    bar = Bar()
    progress = BuildProgress(bar)
    progress.start("outer", 2)
    progress.start("inner", 3)
    assert bar.total == 5 and bar.text == "inner"
    assert progress.step("inner")
    progress.finish("inner")  # two steps were never announced
    progress.step("outer")
    progress.step("outer")
    progress.step("outer")  # one too many
    progress.finish("outer")
    progress.close()
    assert bar.done == bar.total == 5 and bar.closed


def test_a_phase_that_was_never_started() -> None:
    bar = Bar()
    progress = BuildProgress(bar)
    assert progress.step("?")
    progress.finish("?")
    assert bar.done == 0


def test_no_bar_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)  # importing it would fail
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    progress = start_progress()
    progress.start("outer", 1)
    progress.close()


def test_no_bar_where_tqdm_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = start_progress()
    progress.start("outer", 1)
    progress.close()


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = Bar()
    monkeypatch.setitem(sys.modules, "tqdm", SimpleNamespace(tqdm=lambda **options: bar))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    start_progress().start("outer", 7)
    assert bar.total == 7


def monitor(progress: Any) -> Any:
    return monitor_of(SimpleNamespace(IProgressMonitor=object), progress)


def test_the_monitor_reports() -> None:
    bar = Bar()
    watching = monitor(BuildProgress(bar))
    watching.phase_start("outer", None, 2)
    assert watching.step_complete("outer", 0) is True
    watching.phase_finish("outer")
    assert bar.done == 2


@pytest.mark.parametrize("method", ["start", "step", "finish"])
def test_ctrl_c_becomes_a_request_to_stop(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    progress = BuildProgress()
    watching = monitor(progress)
    monkeypatch.setattr(BuildProgress, method, press)
    watching.phase_start("outer", None, 2)
    stepped = watching.step_complete("outer", 0)
    watching.phase_finish("outer")
    assert progress.interrupted
    assert stepped is (method == "finish")
    assert watching.step_complete("outer", 1) is False
