"""The kernels compiled for the CPU, and the library built for a GPU: once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.kernel_doors import CornerPoolDoors
from tests.plugins.built_library import built_library
from tests.plugins.cpu_library import CSRC, load_for_cpu


@pytest.fixture(scope="session")
def corner_pool_doors(tmp_path_factory: pytest.TempPathFactory) -> CornerPoolDoors:
    """Corner pooling whose kernels run on the CPU."""
    sources = [CSRC / "corner_pool_kernel.cu", CSRC / "corner_pool_capi.cpp"]
    library = tmp_path_factory.mktemp("corner_pool") / "corner_pool.so"
    return CornerPoolDoors(load_for_cpu(sources, library))


@pytest.fixture(scope="session")
def plugin_library() -> Path:
    """The built library; tests that need it are skipped where it cannot be built."""
    return built_library()
