"""Decode in a library compiled for the CPU; as a program, run all calls for the sanitizer.

python -m tests.plugins.run_corner_decode LIBRARY
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np

from plugins.decode_door import CornerDecodeDoor, DecodeAddresses, DecodeCall
from runtime.contract import MAP_NAMES
from tests.plugins.corner_decode_cases import (
    CALLS,
    Maps,
    Rows,
    assert_equal_rows,
    expected_rows,
    make_maps,
)


def decode_on_cpu(door: CornerDecodeDoor, call: DecodeCall, maps: Maps) -> tuple[int, Rows]:
    """Return the error code and the rows; outputs and workspace start as garbage."""
    batch, count = call.shape[0], call.num_dets
    rows = Rows(
        np.full((batch, count, 4), 77, np.float32),
        np.full((batch, count), 77, np.float32),
        np.full((batch, count), 77, np.int32),
        np.full((batch, count, 2), 77, np.float32),
    )
    # Not a byte more than asked for: the sanitizer sees what is touched beyond.
    workspace = np.full(max(door.workspace_bytes(call), 1), 0xCD, np.uint8)
    at = DecodeAddresses(
        [maps[name].ctypes.data for name in MAP_NAMES],
        rows.boxes.ctypes.data,
        rows.scores.ctypes.data,
        rows.class_ids.ctypes.data,
        rows.corner_scores.ctypes.data,
        workspace.ctypes.data,
    )
    return door.decode(call, at), rows


def check_decode(door: CornerDecodeDoor, call: DecodeCall, maps: Maps) -> None:
    """Compare every row with the reference."""
    code, rows = decode_on_cpu(door, call, maps)
    assert code == 0
    assert_equal_rows(rows, expected_rows(call, maps))


def main() -> None:
    """Fail, as a program, at the first case that differs or touches foreign memory."""
    door = CornerDecodeDoor(ctypes.CDLL(sys.argv[1]))
    for call in CALLS.values():
        check_decode(door, call, make_maps(call, "ties"))
    print(f"{len(CALLS)} cases")


if __name__ == "__main__":
    main()
