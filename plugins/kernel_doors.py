"""Call the built library's kernels with device addresses, without TensorRT: tests, benchmarks."""

from __future__ import annotations

import ctypes
import enum
from dataclasses import dataclass

from plugins.reference import WALKS, Direction

# cudaError_t, from driver_types.h.
CUDA_SUCCESS, CUDA_INVALID_VALUE = 0, 1

_DIRECTIONS = tuple(WALKS)  # in the order of the C enum


class NumberType(enum.IntEnum):
    """Number types, as corner_pool_kernel.h counts them."""

    FLOAT = 0
    HALF = 1
    INT8 = 2


class Layout(enum.IntEnum):
    """Memory layouts, as corner_pool_kernel.h counts and describes them."""

    LINEAR = 0
    HWC = 1
    HWC8 = 2
    CHW32 = 3


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int32),
        ("layout", ctypes.c_int32),
        ("shape", ctypes.c_int64 * 4),
    )


@dataclass(frozen=True)
class FeatureMap:
    """What lies at an address.

    Attributes:
        shape: Logical extents (N, C, H, W), whatever the layout.
        type: Number type.
        layout: Memory layout.
    """

    shape: tuple[int, int, int, int]
    type: NumberType
    layout: Layout = Layout.LINEAR


class CornerPoolDoors:
    """The two functions of corner pooling in a loaded library.

    Args:
        library: ``libcornerrt_plugins.so``, opened by ``ctypes.CDLL``.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        address, number = ctypes.c_void_p, ctypes.c_int
        self._pool = library.cornerrt_corner_pool
        self._pool.argtypes = [address, number, address, address, address]
        self._pool_sum = library.cornerrt_corner_pool_sum
        self._pool_sum.argtypes = [address, number, address, number, address, address, address]

    def pool(
        self, features: FeatureMap, direction: Direction, source: int, result: int, stream: int = 0
    ) -> int:
        """Enqueue corner pooling.

        Args:
            features: What both tensors are.
            direction: The border that maxima travel towards.
            source: Device address of the input.
            result: Device address of the output; must not overlap the input.
            stream: ``cudaStream_t``; 0 is the default stream.

        Returns:
            The ``cudaError_t``; 0 is success.
        """
        tensor = _as_struct(features)
        code = self._pool(
            ctypes.byref(tensor), _DIRECTIONS.index(direction), source, result, stream
        )
        return int(code)

    def pool_sum(
        self,
        features: FeatureMap,
        vertical: tuple[Direction, int],
        horizontal: tuple[Direction, int],
        result: int,
        stream: int = 0,
    ) -> int:
        """Enqueue the sum of two pools.

        Args:
            features: What the three tensors are; float or half.
            vertical: "top" or "bottom", and the device address of the tensor to pool that way.
            horizontal: "left" or "right", and the other tensor's address.
            result: Device address of the output; must not overlap an input.
            stream: ``cudaStream_t``; 0 is the default stream.

        Returns:
            The ``cudaError_t``; 0 is success.
        """
        tensor = _as_struct(features)
        first, second = _DIRECTIONS.index(vertical[0]), _DIRECTIONS.index(horizontal[0])
        code = self._pool_sum(
            ctypes.byref(tensor), first, vertical[1], second, horizontal[1], result, stream
        )
        return int(code)


def _as_struct(features: FeatureMap) -> _Tensor:
    shape = (ctypes.c_int64 * 4)(*features.shape)
    return _Tensor(int(features.type), int(features.layout), shape)
