"""NVTX ranges: what a tool is told, and that nothing is needed when they are off."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.nvtx_ranges import DOMAIN, mark_stage, open_ranges

ROOT = Path(__file__).resolve().parents[2]


class FakeNvtx(types.ModuleType):
    """Writes down what a tool would see."""

    def __init__(self) -> None:
        super().__init__("nvtx")
        self.made: list[tuple[str, str]] = []
        self.seen: list[str] = []
        fake = self

        class Annotate:
            """One range."""

            def __init__(self, message: str, domain: str) -> None:
                fake.made.append((message, domain))
                self.message = message

            def __enter__(self) -> None:
                fake.seen.append(f"push {self.message}")

            def __exit__(self, *_: object) -> None:
                fake.seen.append(f"pop {self.message}")

        self.annotate = Annotate


@pytest.fixture
def nvtx(monkeypatch: pytest.MonkeyPatch) -> FakeNvtx:
    fake = FakeNvtx()
    monkeypatch.setitem(sys.modules, "nvtx", fake)
    return fake


def test_stages_are_ranges_of_our_domain(nvtx: FakeNvtx) -> None:
    stage = open_ranges()
    for _ in range(2):
        with stage("network"), stage("copy in"):
            pass
    assert nvtx.seen == ["push network", "push copy in", "pop copy in", "pop network"] * 2
    assert nvtx.made == [("network", DOMAIN), ("copy in", DOMAIN)]  # once for each name


def test_a_range_ends_with_an_error(nvtx: FakeNvtx) -> None:
    with pytest.raises(KeyError), open_ranges()("draw"):
        raise KeyError
    assert nvtx.seen == ["push draw", "pop draw"]


def test_without_the_package_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvtx", None)
    with pytest.raises(UsageError, match=r"--nvtx needs the package nvtx; .* pip install nvtx"):
        open_ranges()


def test_a_marked_action_does_the_same_within_its_range(nvtx: FakeNvtx) -> None:
    run = mark_stage(open_ranges(), "draw", lambda a, b: nvtx.seen.append("work") or a - b)
    assert run(5, b=2) == 3
    assert nvtx.seen == ["push draw", "work", "pop draw"]

    def fail() -> None:
        raise UsageError("full")

    with pytest.raises(UsageError, match="full"):
        mark_stage(open_ranges(), "publish", fail)()
    assert nvtx.seen[-2:] == ["push publish", "pop publish"]


def test_off_imports_nothing() -> None:
    code = "import sys, runtime.nvtx_ranges; sys.exit('nvtx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


@pytest.mark.skipif(importlib.util.find_spec("nvtx") is None, reason="nvtx is not installed")
def test_the_package_takes_our_ranges_from_any_thread() -> None:
    stage, ended = open_ranges(), []

    def work() -> None:
        for _ in range(3):
            with stage("network"), stage("network"):
                ended.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(ended) == 6
