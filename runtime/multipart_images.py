"""Takes the pictures out of a multipart stream, such as a camera's MJPEG over HTTP."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

MAX_PART_BYTES = 32 * 2**20  # a JPEG of 8192 x 4320 at good quality has about 20 MB
MAX_HEADER_BYTES = 8192
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"(?im)^content-length[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?$")


class _State(enum.Enum):
    BOUNDARY = "looks for the next boundary"
    HEADERS = "reads the headers of a part"
    BODY = "reads a part"
    END = "the stream said that it is complete"


class MultipartParser:
    """Collects bytes and gives out whole parts. Keeps at most one part and the bytes of one feed.

    A stated ``Content-Length`` lets a part be given out before the next one begins, but it is
    believed only where it is the end of a JPEG: cameras state wrong ones.

    Args:
        boundary: As stated in the content type, with or without the leading dashes that some
            cameras add.

    Raises:
        ValueError: If the boundary is empty.
    """

    def __init__(self, boundary: str) -> None:
        name = boundary.encode("utf-8", "replace").lstrip(b"-")
        if not name:
            raise ValueError("got an empty boundary; expected at least one letter")
        self._delimiter = b"--" + name
        self._data = bytearray()
        self._state = _State.BOUNDARY
        self._length: int | None = None
        self._searched = 0  # so many bytes hold no delimiter
        self._skipped = 0  # bytes thrown away since the last part

    @property
    def has_ended(self) -> bool:
        """Whether the sender said that nothing more comes."""
        return self._state is _State.END

    def feed(self, data: bytes) -> list[bytes]:
        """Take in what was received and return the parts that are complete now, oldest first.

        Raises:
            ValueError: If the stream cannot be a sequence of pictures: no boundary, headers or
                parts without end.
        """
        self._data += data
        parts: list[bytes] = []
        steps: dict[_State, Callable[[], bool]] = {
            _State.BOUNDARY: self._find_boundary,
            _State.HEADERS: self._read_headers,
            _State.BODY: lambda: self._read_body(parts),
            _State.END: lambda: False,
        }
        while steps[self._state]():
            pass
        return parts

    def _find_boundary(self) -> bool:
        start = self._data.find(self._delimiter)
        if start >= 0:
            del self._data[: start + len(self._delimiter)]
            self._state = _State.HEADERS
            return True
        useless = max(0, len(self._data) - len(self._delimiter) + 1)
        self._skipped += useless
        del self._data[:useless]
        if self._skipped > MAX_PART_BYTES:
            raise ValueError(f"no boundary {self._delimiter!r} within {MAX_PART_BYTES} bytes")
        return False

    def _read_headers(self) -> bool:
        if self._data.startswith(b"--"):
            self._state = _State.END
            return True
        end = _BLANK_LINE.search(self._data, 0, MAX_HEADER_BYTES)
        if end is None:
            if len(self._data) > MAX_HEADER_BYTES:
                raise ValueError(f"a part's headers are longer than {MAX_HEADER_BYTES} bytes")
            return False
        length = _LENGTH.search(self._data, 0, end.start() + 1)
        self._length = int(length.group(1)) if length else None
        del self._data[: end.end()]
        self._searched = self._skipped = 0
        self._state = _State.BODY
        return True

    def _read_body(self, parts: list[bytes]) -> bool:
        # With the line's end before it: a short boundary may occur within a picture.
        line = b"\n" + self._delimiter
        end = self._data.find(line, self._searched)
        self._searched = max(0, len(self._data) - len(line) + 1)
        if self._length is not None and (end < 0 or end >= self._length):
            stated = self._data[: self._length]
            if len(stated) == self._length and is_whole_jpeg(stated):
                end = self._length
        if end < 0:
            if len(self._data) > MAX_PART_BYTES:
                raise ValueError(f"a part is longer than {MAX_PART_BYTES} bytes")
            return False
        parts.append(bytes(self._data[:end]))
        del self._data[:end]
        self._state = _State.BOUNDARY
        return True


def is_whole_jpeg(data: bytes | bytearray) -> bool:
    """Say whether data begins as a JPEG and its last scan is followed by the end marker.

    A decoder would fill what is missing with grey.
    """
    return data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
