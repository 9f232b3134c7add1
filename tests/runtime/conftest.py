"""A GPU in software for the modules that need one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugins.library
from runtime import cuda_graph, letterbox_gpu
from runtime.geometry import Letterbox
from runtime.preprocess import letterbox_image
from tests.fakes.cuda_driver import FakeDriver, FakeLibcuda
from tests.fakes.fake_pycuda import fake_pycuda
from tests.fakes.fake_tensorrt import FakeTensorRT, new_backend, write_tiny_engine

# Modules that bind pycuda's names when they are imported.
ON_PYCUDA = (
    "cuda_memory",
    "upload_ring",
    "tensorrt_timing",
    "tensorrt_engine",
    "tensorrt_session",
    "backend_tensorrt",
    "layer_profile_tensorrt",
)


def forget_modules() -> None:
    for name in ON_PYCUDA:
        sys.modules.pop(f"runtime.{name}", None)


@pytest.fixture
def install_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[FakeDriver], FakeDriver]]:
    """Return a function that makes a software GPU the one of this process.

    At the end nothing may be left on it, in no thread, unless the test broke it on purpose.
    """
    installed: list[FakeDriver] = []

    def install(driver: FakeDriver) -> FakeDriver:
        for name, module in fake_pycuda(driver).items():
            monkeypatch.setitem(sys.modules, name, module)
        libcuda = FakeLibcuda(driver)
        monkeypatch.setattr(cuda_graph, "_driver", lambda: libcuda)
        forget_modules()
        installed.append(driver)
        return driver

    yield install
    forget_modules()
    for driver in installed:
        assert not driver.stack, "a context was left on this thread's stack"


@pytest.fixture
def driver(install_gpu: Callable[[FakeDriver], FakeDriver]) -> FakeDriver:
    """A software GPU with 256 MiB."""
    return install_gpu(FakeDriver())


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say themselves whether there is a plugin library."""
    monkeypatch.setattr(plugins.library, "find_library", lambda: None)


@pytest.fixture
def gpu_letterbox(monkeypatch: pytest.MonkeyPatch, driver: FakeDriver) -> None:
    """A plugin library whose kernel runs on the software GPU."""

    class Kernel:
        def __init__(self, library: Path) -> None:
            assert library == Path("plugins.so")

        def launch(self, image: int, canvas: int, letterbox: Letterbox, stream: int) -> None:
            def scale() -> None:
                shape, target = (*letterbox.image_hw, 3), (*letterbox.network_hw, 3)
                pixels = driver.memory(image, int(np.prod(shape))).reshape(shape)
                out = driver.memory(canvas, int(np.prod(target))).reshape(target)
                letterbox_image(pixels, letterbox, out=out)

            driver.enqueue_call("letterbox", stream, scale)

    monkeypatch.setattr(plugins.library, "find_library", lambda: Path("plugins.so"))
    monkeypatch.setattr(letterbox_gpu, "LetterboxKernel", Kernel)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return write_tiny_engine(tmp_path / "tiny.engine")


@pytest.fixture
def backend(driver: FakeDriver, engine: Path) -> Iterator[Any]:
    backend = new_backend(FakeTensorRT(driver))
    backend.open(engine)
    yield backend
    backend.close()
    assert driver.is_empty
