"""Memory of host and GPU, before and after."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.measurement import Memory
from runtime.memory_use import MemoryWatch, peak_bytes, resident_bytes
from tests.fakes.cuda_driver import MEBIBYTE, FakeDriver

ROOT = Path(__file__).parents[2]


# In a process of its own: in one that has run other tests memory comes and goes.
TAKING = """
import dataclasses, json, numpy as np
from runtime.memory_use import MemoryWatch
watch = MemoryWatch("onnxruntime")
taken = np.ones(64 << 20, np.uint8)
watch.opened()
running = np.ones(96 << 20, np.uint8)
del taken, running
print(json.dumps(dataclasses.asdict(watch.memory())))
"""


def test_what_is_taken_shows_in_host_memory() -> None:
    memory = Memory(**json.loads(run_python(TAKING)))
    assert 60 * MEBIBYTE < memory.host_open - memory.host_before_open < 80 * MEBIBYTE
    assert memory.host_peak >= memory.host_open + 80 * MEBIBYTE
    assert (memory.device_open, memory.device_running) == (None, None)


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_resident_memory_is_pages_of_the_second_column(tmp_path: Path) -> None:
    statm = tmp_path / "statm"
    statm.write_text("999 25 3 4 5 6 7\n")
    assert resident_bytes(statm) == 25 * 4096


@pytest.mark.parametrize("text", [None, "", "1", "a b"])
def test_where_the_system_does_not_tell_it_is_the_peak(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "statm").write_text(text)
    assert resident_bytes(tmp_path / "statm") == pytest.approx(peak_bytes(), rel=0.05)


def test_the_peak_is_of_this_program_and_not_of_the_one_that_started_it() -> None:
    taken = np.ones(256 * MEBIBYTE, np.uint8)
    code = "from runtime.memory_use import peak_bytes; print(peak_bytes())"
    assert peak_bytes() > taken.nbytes > int(run_python(code))


def test_where_no_file_tells_the_peak_the_system_call_does(tmp_path: Path) -> None:
    assert peak_bytes(tmp_path / "none") >= peak_bytes() - MEBIBYTE


def test_an_engine_takes_memory_of_the_gpu(driver: FakeDriver) -> None:
    watch = MemoryWatch("tensorrt")
    driver.free_bytes -= 5 * MEBIBYTE
    watch.opened()
    driver.free_bytes -= 2 * MEBIBYTE
    memory = watch.memory()
    assert memory.device_open == 5 * MEBIBYTE and memory.device_running == 7 * MEBIBYTE


def test_other_artifacts_do_not_ask_the_gpu(driver: FakeDriver) -> None:
    watch = MemoryWatch("onnxruntime")
    watch.opened()
    assert watch.memory().device_open is None and driver.calls == []


def test_without_a_gpu_there_is_no_memory_of_one(install_gpu: Any) -> None:
    install_gpu(FakeDriver(devices=0))
    watch = MemoryWatch("tensorrt")
    watch.opened()
    assert watch.memory().device_running is None
