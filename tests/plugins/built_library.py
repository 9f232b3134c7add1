"""The plugin library, built once for one GPU architecture where nvcc and TensorRT's headers are."""

from __future__ import annotations

import fcntl
import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from plugins.library import LIBRARY_NAME
from tests.plugins.cpu_library import ROOT

ARCHITECTURE = "86"
FOLDER = ROOT / "build" / "plugins-test"


@functools.cache
def find_or_build_library() -> Path | str:
    """Return the library, or the reason why it cannot be built here.

    Raises:
        AssertionError: If it should build and does not; holds what the compilers said.
    """
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        return "no cmake or no C++ compiler; install them: apt install cmake g++ make"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:  # other test runs of this checkout wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        configure = ["cmake", "-S", str(ROOT / "plugins"), "-B", str(FOLDER)]
        done = _run([*configure, f"-DCORNERRT_ARCHITECTURES={ARCHITECTURE}"])
        message = " ".join(done.stderr.split())
        if missing := re.search(r"found no .*?;.*?(?=; or|, or|$)", message):
            return missing.group()
        assert done.returncode == 0, done.stderr
        done = _run(["cmake", "--build", str(FOLDER)])
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return FOLDER / LIBRARY_NAME


def built_library() -> Path:
    """Return the library; skips the test, aloud, where it cannot be built."""
    library = find_or_build_library()
    if isinstance(library, str):
        pytest.skip(f"no plugin library: {library}")
    return library


def cached_path(name: str) -> str:
    """Return a path that CMake found when it built the library.

    Args:
        name: Its name in CMake's cache.
    """
    cache = (FOLDER / "CMakeCache.txt").read_text("utf-8")
    found = re.search(rf"^{name}:\w+=(.+)$", cache, re.MULTILINE)
    assert found, f"{name} is not in {FOLDER}/CMakeCache.txt"
    return found.group(1)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
