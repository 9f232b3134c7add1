"""The one place that chooses between ``tensorrt`` and ``tensorrt_rtx``, and finds their libraries.

Nothing here is imported before it is asked for: a machine without either package, or without a
GPU, can import this file.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from runtime.errors import BackendError

# Ships TensorRT-RTX's libraries, its ONNX parser and the CUDA runtime as an ordinary wheel.
RTX_LIBRARIES_PACKAGE = "onnxruntime_ep_nv_tensorrt_rtx"
# Each needs the ones before it.
RTX_LIBRARIES = ("libcudart.so.13*", "libtensorrt_rtx.so.1*", "libtensorrt_onnxparser_rtx.so.1*")

# CUdevice_attribute numbers, from cuda.h.
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
# More than any GPU's name is long.
NAME_BYTES = 256


@dataclass(frozen=True)
class TensorRTModule:
    """A loaded TensorRT.

    Attributes:
        api: The Python module; ``tensorrt`` and ``tensorrt_rtx`` share most of their names.
        product: "tensorrt" or "tensorrt-rtx".
        version: Full version, such as "1.7.1.116".
    """

    api: Any
    product: str
    version: str


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        name: As the driver gives it, such as "Orin".
        compute_capability: Such as "8.7".
    """

    name: str
    compute_capability: str


def load_product(product: str) -> TensorRTModule:
    """Import a TensorRT by the name of its product, "tensorrt" or "tensorrt-rtx".

    Raises:
        BackendError: If it is not installed or its libraries do not load.
    """
    return load_tensorrt_rtx() if product == "tensorrt-rtx" else load_tensorrt()


def load_tensorrt_rtx() -> TensorRTModule:
    """Import TensorRT-RTX, from NVIDIA's own package or from bindings plus bundled libraries.

    Raises:
        BackendError: If it is not installed or its libraries do not load.
    """
    if importlib.util.find_spec("tensorrt_rtx") is not None:
        return _imported("tensorrt_rtx", "tensorrt-rtx")
    needed = ("tensorrt_rtx_bindings", RTX_LIBRARIES_PACKAGE)
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise BackendError(
            f"TensorRT-RTX is not installed (no module {missing[0]}); expected it for target "
            "tensorrt-rtx; install it from the checkout: pip install --editable '.[rtx]'"
        )
    _preload_rtx_libraries()
    return _imported("tensorrt_rtx_bindings", "tensorrt-rtx")


def load_tensorrt() -> TensorRTModule:
    """Import the full TensorRT, as JetPack and NVIDIA's packages install it.

    Raises:
        BackendError: If it is not installed or its libraries do not load.
    """
    if importlib.util.find_spec("tensorrt") is None:
        raise BackendError(
            "TensorRT is not installed (no module tensorrt); expected it for target tensorrt; on a "
            "Jetson: sudo apt install python3-libnvinfer, and a virtual environment with "
            "--system-site-packages"
        )
    return _imported("tensorrt", "tensorrt")


def find_gpu() -> Gpu | None:
    """Return the first NVIDIA GPU, None without GPU or driver; opens no context on it."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, value = ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None
    numbers = []
    for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR):
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device) != 0:
            return None
        numbers.append(value.value)
    name = ctypes.create_string_buffer(NAME_BYTES)
    if driver.cuDeviceGetName(name, NAME_BYTES, device) != 0:
        return None
    return Gpu(name.value.decode(errors="replace"), "{}.{}".format(*numbers))


def _preload_rtx_libraries() -> None:
    """Load the bundled libraries, so that the bindings find them without LD_LIBRARY_PATH."""
    package: ModuleType = importlib.import_module(RTX_LIBRARIES_PACKAGE)  # makes version symlinks
    folder = Path(str(package.__file__)).parent
    for pattern in RTX_LIBRARIES:
        found = sorted(folder.glob(pattern))
        if not found:
            raise BackendError(
                f"{folder} has no {pattern}; expected TensorRT-RTX's libraries there; install "
                "them again: pip install --force-reinstall --editable '.[rtx]'"
            )
        try:
            ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise BackendError(
                f"{found[0].name} does not load ({error}); install it again"
            ) from None


def _imported(module: str, product: str) -> TensorRTModule:
    try:
        api = importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise BackendError(
            f"{module} is installed but does not load ({error}); expected its libraries beside "
            "it; install it again"
        ) from None
    return TensorRTModule(api, product, str(api.__version__))
