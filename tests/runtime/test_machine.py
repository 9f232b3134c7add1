"""What is asked of the machine, asked of a folder and of this Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runtime.machine import Answer, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_files_are_read_under_the_root(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson\xff\0")
    assert machine.read("/proc/device-tree/model") == "NVIDIA Jetson\ufffd"
    assert machine.exists("/proc/device-tree")
    assert machine.find("/proc/*/model") == ["/proc/device-tree/model"]
    assert machine.path("/proc") == tmp_path / "proc"


def test_what_is_not_there_is_empty(machine: Machine) -> None:
    assert machine.read("/none") == ""
    assert machine.read("/") == ""  # a folder
    assert not machine.exists("/none")
    assert machine.find("/none/*") == []
    assert not machine.may_open("/none")
    assert machine.query("/none", 0, 4) is None
    assert not machine.is_container


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_a_container_is_recognised(machine: Machine, tmp_path: Path, mark: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / mark).touch()
    assert machine.is_container


def test_a_file_is_no_device(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert machine.query("/file", 0x80685600, 104) is None


def test_a_program_gives_its_output(machine: Machine) -> None:
    assert machine.run("echo", "a b") == Answer(True, "a b")
    assert machine.run("sh", "-c", "echo $LC_ALL").text == "C"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["sh", "-c", "echo out; echo first >&2; echo last >&2; exit 3"], "last"),
        (["sh", "-c", "echo out; exit 3"], "out"),
        (["sh", "-c", "exit 3"], "ended with status 3"),
        (["no-such-program"], "No such file or directory"),
        (["/"], "Permission denied"),
    ],
)
def test_a_program_that_fails_says_why(machine: Machine, command: list[str], text: str) -> None:
    assert machine.run(*command) == Answer(False, text)


def test_a_program_that_hangs_is_ended(machine: Machine) -> None:
    assert machine.run("sleep", "100", timeout_s=0.1) == Answer(False, "no answer in 0.1 s")


def test_python_runs_apart_and_finds_our_packages(machine: Machine) -> None:
    code = "import os, runtime.errors; print(os.getpid())"
    answer = machine.run_python(code)
    assert answer.succeeded
    assert int(answer.text) != os.getpid()
    assert machine.run_python("import no_such_module").text == (
        "ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert not machine.run_python("import os; os.abort()").succeeded  # a library that crashes


def test_a_module_is_found_without_importing_it(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashes_when_imported.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert machine.has_module("crashes_when_imported")
    assert "crashes_when_imported" not in sys.modules
    assert not machine.has_module("no_such_module")
    assert not machine.has_module("no_such_module.inside")


def test_elements_are_asked_of_gstreamer(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.gstreamer.find_elements", frozenset)
    assert machine.elements(["rtspsrc"]) == {"rtspsrc"}
