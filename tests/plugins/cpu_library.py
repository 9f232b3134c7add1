"""Compile our CUDA sources for the CPU, through cuda_on_cpu.h, so that tests can run them here."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "plugins" / "csrc"

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="no g++; install it: apt install g++"
)


def compile_for_cpu(sources: Sequence[Path], library: Path, options: Sequence[str] = ()) -> Path:
    """Make a shared library of CUDA sources whose kernels run on the CPU.

    Args:
        sources: Files of C++ or CUDA C++.
        library: What to write.
        options: More options of the compiler, such as ``-fsanitize=address``.

    Returns:
        ``library``.

    Raises:
        AssertionError: If a source does not compile; holds what the compiler said.
    """
    command = ["g++", "-std=c++17", "-O1", "-g", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    command += ["-Wno-unknown-pragmas"]  # unroll
    command += ["-Wno-clobbered"]  # said of getcontext, once a sanitizer is in
    command += ["-fno-gnu-unique"]  # two such libraries in one process share nothing
    command += ["-DCORNERRT_CUDA_ON_CPU", "-I", str(CSRC), "-I", str(Path(__file__).parent)]
    command += [*options, "-o", str(library), "-x", "c++", *(str(source) for source in sources)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return library


def load_for_cpu(sources: Sequence[Path], library: Path) -> ctypes.CDLL:
    """Compile CUDA sources for the CPU and load them."""
    loaded = ctypes.CDLL(str(compile_for_cpu(sources, library)))
    loaded.cuda_on_cpu_error.restype = ctypes.c_char_p
    return loaded
