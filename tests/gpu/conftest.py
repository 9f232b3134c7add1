"""Whether there is a GPU to test on, with pycuda and TensorRT; if not, the reason is printed."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import BackendError
from runtime.trt_module import TensorRTModule, find_gpu, load_product
from tests.gpu.device_memory import Gpu

# TensorRT-RTX is for desktop GPUs; a Jetson and a server have the full TensorRT.
PRODUCTS = ("tensorrt", "tensorrt-rtx")


@pytest.fixture(scope="session")
def device() -> Any:
    """The first GPU, through pycuda."""
    if find_gpu() is None:
        pytest.skip("no NVIDIA GPU, or no driver")
    try:
        from runtime.cuda_memory import open_device

        return open_device()
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture
def current(device: Any) -> Iterator[Any]:
    """The GPU, its context current in this thread."""
    with device.current():
        yield device


@pytest.fixture(scope="session", params=PRODUCTS)
def trt(request: pytest.FixtureRequest, device: Any) -> TensorRTModule:
    """Each TensorRT that is installed."""
    try:
        return load_product(request.param)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def plugin_library() -> Path:
    """The plugin library, built for this GPU."""
    from plugins.library import find_library

    library = find_library()
    if library is None:
        pytest.skip("no plugin library; build it: make plugins")
    return library


@pytest.fixture(scope="module")
def gpu() -> Gpu:
    """The first GPU, through the driver library alone."""
    try:
        return Gpu()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no NVIDIA GPU: {error}")


@pytest.fixture
def stream(gpu: Gpu) -> Iterator[ctypes.c_void_p]:
    """A stream of its own; the default one cannot be captured."""
    stream = ctypes.c_void_p()
    gpu.call("cuStreamCreate", ctypes.byref(stream), 1)
    yield stream
    gpu.call("cuStreamDestroy_v2", stream)
