"""Call the built library's decoding with device addresses, without TensorRT: tests, benchmarks."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

PAIR_SCORES = ("mean", "geometric")  # in the order of the C enum


@dataclass(frozen=True)
class DecodeCall:
    """What to decode and how.

    Attributes:
        shape: Of the heatmaps: (N, C, h, w).
        top_k: Corners kept per image and kind; at most 512.
        nms_kernel: Side of the window in which a corner must be the maximum: 1, 3, 5 or 7.
        ae_threshold: Largest distance between the embeddings of a pair.
        num_dets: Rows of the result; at most ``top_k * top_k``.
        pair_score: "mean" or "geometric".
        scale_xy: Network pixels per cell, across and down.
    """

    shape: tuple[int, int, int, int]
    top_k: int
    nms_kernel: int
    ae_threshold: float
    num_dets: int
    pair_score: str = "mean"
    scale_xy: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class DecodeAddresses:
    """Where everything lies on the device.

    Attributes:
        maps: float32 ``tl_heat``, ``br_heat``, ``tl_tag``, ``br_tag``, ``tl_off``, ``br_off``.
        boxes: float32 (N, num_dets, 4).
        scores: float32 (N, num_dets).
        class_ids: int32 (N, num_dets).
        corner_scores: float32 (N, num_dets, 2).
        workspace: ``workspace_bytes`` bytes, 16-byte alignment.
    """

    maps: Sequence[int]
    boxes: int
    scores: int
    class_ids: int
    corner_scores: int
    workspace: int


class _Call(ctypes.Structure):
    _fields_ = (
        ("shape", ctypes.c_int64 * 4),
        ("top_k", ctypes.c_int32),
        ("nms_kernel", ctypes.c_int32),
        ("num_dets", ctypes.c_int32),
        ("pair_score", ctypes.c_int32),
        ("ae_threshold", ctypes.c_float),
        ("scale_x", ctypes.c_float),
        ("scale_y", ctypes.c_float),
    )


class CornerDecodeDoor:
    """Decoding in a loaded library.

    Args:
        library: ``libcornerrt_plugins.so``, opened by ``ctypes.CDLL``.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._workspace_bytes = library.cornerrt_corner_decode_workspace_bytes
        self._workspace_bytes.argtypes = [ctypes.c_void_p]
        self._workspace_bytes.restype = ctypes.c_int64
        self._decode = library.cornerrt_corner_decode
        self._decode.argtypes = [ctypes.c_void_p] * 8

    def workspace_bytes(self, call: DecodeCall) -> int:
        """Return the size of the workspace, 0 if ``decode`` would refuse the call."""
        return int(self._workspace_bytes(ctypes.byref(_as_struct(call))))

    def decode(self, call: DecodeCall, at: DecodeAddresses, stream: int = 0) -> int:
        """Enqueue the decoding of a batch.

        Args:
            call: What to decode and how.
            at: Device addresses.
            stream: ``cudaStream_t``; 0 is the default stream.

        Returns:
            The ``cudaError_t``; 0 is success.
        """
        maps = (ctypes.c_void_p * 6)(*at.maps)
        outputs = (at.boxes, at.scores, at.class_ids, at.corner_scores)
        return int(
            self._decode(ctypes.byref(_as_struct(call)), maps, *outputs, at.workspace, stream)
        )


def _as_struct(call: DecodeCall) -> _Call:
    return _Call(
        (ctypes.c_int64 * 4)(*call.shape),
        call.top_k,
        call.nms_kernel,
        call.num_dets,
        PAIR_SCORES.index(call.pair_score),
        call.ae_threshold,
        *call.scale_xy,
    )
