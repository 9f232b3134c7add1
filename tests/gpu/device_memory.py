"""GPU memory through the driver's library alone: kernel tests need neither pycuda nor torch."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np


class Gpu:
    """The first GPU, its primary context current in the thread that makes this.

    Raises:
        OSError: If there is no driver.
        RuntimeError: If the driver finds no GPU, or a call fails.
    """

    def __init__(self) -> None:
        self._driver = ctypes.CDLL("libcuda.so.1")
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function of the driver; raises RuntimeError unless it succeeds."""
        if status := getattr(self._driver, function)(*arguments):
            raise RuntimeError(f"{function} returned CUDA error {status}")

    def upload(self, values: np.ndarray) -> DeviceArray:
        """Return a copy of an array on the GPU."""
        array = DeviceArray(self, values.shape, values.dtype)
        array.write(values)
        return array

    def synchronize(self) -> None:
        """Wait for all work; raises RuntimeError if some of it failed."""
        self.call("cuCtxSynchronize")


class DeviceArray:
    """An array on the GPU; its memory goes with the object.

    Args:
        gpu: Where.
        shape: Extents; the values are undefined at first.
        dtype: Element type.
    """

    def __init__(self, gpu: Gpu, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._gpu, self._shape, self._dtype = gpu, shape, dtype
        address = ctypes.c_uint64()
        size = int(np.prod(shape)) * dtype.itemsize
        gpu.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        self.address = address.value

    def write(self, values: np.ndarray, offset_bytes: int = 0) -> None:
        """Copy values to the GPU."""
        values = np.ascontiguousarray(values)
        place, size = ctypes.c_uint64(self.address + offset_bytes), ctypes.c_size_t(values.nbytes)
        self._gpu.call("cuMemcpyHtoD_v2", place, values.ctypes.data_as(ctypes.c_void_p), size)

    def read(self, shape: tuple[int, ...] | None = None, offset_bytes: int = 0) -> np.ndarray:
        """Return values, all of them unless told otherwise, after all work is done."""
        self._gpu.synchronize()
        values = np.empty(self._shape if shape is None else shape, self._dtype)
        place, size = ctypes.c_uint64(self.address + offset_bytes), ctypes.c_size_t(values.nbytes)
        self._gpu.call("cuMemcpyDtoH_v2", values.ctypes.data_as(ctypes.c_void_p), place, size)
        return values

    def __del__(self) -> None:
        if hasattr(self, "address"):
            self._gpu.call("cuMemFree_v2", ctypes.c_uint64(self.address))
