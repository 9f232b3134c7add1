"""Facts from given files, and remarks about a busy machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime import machine_facts
from runtime.machine_facts import busy_remark, cpu_model, library_versions, machine_line


def test_cpu_model_is_the_processors_name(tmp_path: Path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast Chip: v2\nmodel name\t: Other\n")
    assert cpu_model(info, tmp_path / "none") == "Fast Chip: v2"


def test_a_board_states_its_name_elsewhere(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    (tmp_path / "model").write_bytes(b"NVIDIA Jetson Nano\0")
    assert cpu_model(tmp_path / "cpuinfo", tmp_path / "model") == "NVIDIA Jetson Nano"


def test_without_either_file_something_is_said(tmp_path: Path):
    assert cpu_model(tmp_path / "a", tmp_path / "b")


def test_facts_are_complete_json():
    facts = json.loads(json.dumps(machine_facts.machine_facts()))
    assert facts["cores"] >= 1 and facts["gpu"] == "none used"
    assert {"opencv", "numpy"} <= set(facts["libraries"])
    line = machine_line(facts)
    assert facts["cpu"] in line and f"numpy {facts['libraries']['numpy']}" in line


def test_a_library_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine_facts, "LIBRARIES", ("numpy", "no-such-library"))
    assert set(library_versions()) == {"opencv", "numpy"}


@pytest.mark.parametrize(("load", "busy"), [(None, False), (0.5, False), (0.6, True)])
def test_a_busy_machine_is_remarked_on(load: float | None, busy: bool):
    assert bool(busy_remark(load, cores=2)) is busy
