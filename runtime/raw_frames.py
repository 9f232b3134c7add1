"""How decoded pictures travel through a pipe: a header that says what follows, then the rows.

Every picture carries its size, so a camera may change it. Both ends use this module; it imports
the standard library only, so that the process that writes starts quickly.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MAGIC = b"CRT1"
MAX_SIDE_PX = 16384  # the largest picture of H.264 and H.265 decoders has 8192 x 4320
MAX_PAYLOAD_BYTES = 256 * 2**20
CHANNELS = (3, 4)
_LAYOUT = struct.Struct("<4s6IQ")
HEADER_BYTES = _LAYOUT.size


class RawFrameHeader(NamedTuple):
    """What stands before a picture's bytes.

    Attributes:
        width: Pixels in a row.
        height: Rows.
        channels: Bytes of a pixel: 3 for BGR, 4 for BGRx.
        row_bytes: From one row to the next; may exceed ``width * channels``.
        rate_numerator: Pictures per second, as a fraction; 0 where it is not known.
        rate_denominator: Of that fraction, at least 1.
        captured_ns: Monotonic clock, which is one for all processes of a machine.
    """

    width: int
    height: int
    channels: int
    row_bytes: int
    rate_numerator: int
    rate_denominator: int
    captured_ns: int

    @property
    def payload_bytes(self) -> int:
        """How many bytes follow the header."""
        return self.row_bytes * self.height

    def pack(self) -> bytes:
        """Return the ``HEADER_BYTES`` bytes that go before the picture."""
        return _LAYOUT.pack(MAGIC, *self)


def unpack_header(data: bytes | bytearray | memoryview) -> RawFrameHeader:
    """Read and check a header: nothing is allocated for what it announces before it holds.

    Args:
        data: ``HEADER_BYTES`` bytes.

    Raises:
        ValueError: If it is no header, or announces an impossible picture.
    """
    if len(data) != HEADER_BYTES:
        raise ValueError(f"got {len(data)} bytes; expected a header of {HEADER_BYTES}")
    magic, *values = _LAYOUT.unpack(data)
    header = RawFrameHeader(*values)
    if magic != MAGIC:
        raise ValueError(f"got {bytes(magic)!r}; expected a header that begins with {MAGIC!r}")
    is_possible = (
        1 <= header.width <= MAX_SIDE_PX
        and 1 <= header.height <= MAX_SIDE_PX
        and header.channels in CHANNELS
        and header.row_bytes >= header.width * header.channels
        and header.payload_bytes <= MAX_PAYLOAD_BYTES
        and header.rate_denominator >= 1
    )
    if not is_possible:
        raise ValueError(
            f"got a picture of {header.width}x{header.height}, {header.channels} channels, "
            f"{header.row_bytes} bytes a row; expected at most {MAX_SIDE_PX} pixels a side and "
            f"{MAX_PAYLOAD_BYTES} bytes"
        )
    return header
