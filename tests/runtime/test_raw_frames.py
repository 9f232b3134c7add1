"""The header before a raw picture: what is written is read, anything else is refused."""

from __future__ import annotations

import random

import pytest

from runtime.raw_frames import (
    HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_SIDE_PX,
    RawFrameHeader,
    unpack_header,
)

HEADER = RawFrameHeader(642, 362, 3, 1928, 30_000, 1001, 123_456_789_012_345)


def test_a_header_survives_the_way() -> None:
    assert len(HEADER.pack()) == HEADER_BYTES
    assert unpack_header(HEADER.pack()) == HEADER
    assert HEADER.payload_bytes == 1928 * 362


def test_the_smallest_and_largest_pictures_are_taken() -> None:
    for header in (
        HEADER._replace(width=1, height=1, row_bytes=3),
        HEADER._replace(width=MAX_SIDE_PX, height=4096, channels=4, row_bytes=MAX_SIDE_PX * 4),
    ):
        assert unpack_header(header.pack()) == header


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"height": 0},
        {"width": MAX_SIDE_PX + 1, "row_bytes": 4 * MAX_SIDE_PX},
        {"height": MAX_SIDE_PX + 1},
        {"channels": 1},
        {"channels": 5, "row_bytes": 4000},
        {"row_bytes": 642 * 3 - 1},
        {"row_bytes": 2**32 - 1},  # with the height, more than a terabyte
        {"height": 2, "row_bytes": MAX_PAYLOAD_BYTES // 2 + 1},
        {"rate_denominator": 0},
    ],
    ids=str,
)
def test_an_impossible_picture_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"got a picture of .* expected at most"):
        unpack_header(HEADER._replace(**changes).pack())


@pytest.mark.parametrize("size", [0, 1, HEADER_BYTES - 1, HEADER_BYTES + 1])
def test_a_header_of_the_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"got {size} bytes"):
        unpack_header((HEADER.pack() + b"x")[:size])


def test_random_bytes_are_refused_or_announce_something_bounded() -> None:
    draw = random.Random(0)
    accepted = 0
    for _ in range(20_000):
        data = bytearray(HEADER.pack())
        for _ in range(draw.randrange(1, 8)):
            data[draw.randrange(HEADER_BYTES)] = draw.randrange(256)
        try:
            header = unpack_header(data)
        except ValueError:
            continue
        accepted += 1
        assert header.payload_bytes <= MAX_PAYLOAD_BYTES
        assert header.row_bytes >= header.width * header.channels > 0
    assert accepted  # the loop saw both sides
    for _ in range(1000):
        with pytest.raises(ValueError, match="expected a header"):
            unpack_header(draw.randbytes(HEADER_BYTES))
