"""Pictures from a folder, in the order of their names."""

from __future__ import annotations

import glob
import time
import zlib
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.opencv_log import silence_opencv

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FRAME_RATE = 5.0  # of a video made from single pictures: slow enough to look at each


class ImageFilesSource:
    """A folder of images, a pattern such as ``shots/*.png``, or one image.

    Args:
        pattern: The folder, pattern or file.
        name: Of the source; the pattern if left out.

    Raises:
        SourceError: If it holds no image.
    """

    is_live = False
    frame_rate = FRAME_RATE
    stall_timeout_s: float | None = None

    def __init__(self, pattern: str, name: str | None = None) -> None:
        self.name = name or pattern
        self._paths = list_images(pattern)
        self._sequence = 0

    def read(self) -> Frame | None:
        """Load the next image; None after the last."""
        if self._sequence == len(self._paths):
            return None
        path = self._paths[self._sequence]
        image = read_image(path)
        frame = Frame(image, path.name, self._sequence, time.monotonic_ns())
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Forget the remaining images."""
        self._sequence = len(self._paths)


def read_image(path: Path) -> np.ndarray:
    """Load an image file of any common kind.

    Returns:
        uint8 (H, W, 3), BGR; grey, 16-bit and transparent files are converted, and photos turned
        upright as their EXIF data says.

    Raises:
        SourceError: If the file is missing, no image, or cut short.
    """
    silence_opencv()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}); check the path") from None
    image = None if _is_cut_short(data) else _decode(data)
    if image is None:
        raise SourceError(
            f"{path} cannot be decoded; expected a complete image; it is cut short, empty or no "
            "image: remove it or copy it again"
        )
    return np.asarray(image)


def _is_cut_short(data: bytes) -> bool:
    """Look for the end of a JPEG or PNG: OpenCV 4 fills what is missing with grey, or prints.

    A PNG whose check sums do not fit counts as cut short, too.
    """
    if data.startswith(b"\xff\xd8"):  # JPEG: the last scan must be followed by the end marker
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return data.startswith(b"\x89PNG") and not _is_whole_png(data)


def _is_whole_png(data: bytes) -> bool:
    """Check the parts that make the picture, as its decoder does, which would print what it finds.

    Each is four bytes of length, four of kind, the content and a CRC-32 over kind and content; the
    kinds that a picture needs begin with a capital.
    """
    view, position = memoryview(data), 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(view[position : position + 4], "big")
        kind = bytes(view[position + 4 : position + 8])
        check_sum = int.from_bytes(view[end : end + 4], "big")
        if kind[:1].isupper() and zlib.crc32(view[position + 4 : end]) != check_sum:
            return False
        if kind == b"IEND":
            return True
        position = end + 4
    return False


def _decode(data: bytes) -> np.ndarray | None:
    """Return the picture in a file's bytes, None if there is none."""
    try:
        # From memory: imread of OpenCV 5, too, fills the rest of a cut JPEG with grey.
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # an empty file, or one that states an absurd size
        return None


def list_images(pattern: str) -> list[Path]:
    """Return the images of a folder, a pattern or a file, sorted by name.

    Raises:
        SourceError: If there is none.
    """
    folder = Path(pattern)
    if folder.is_dir():
        candidates = folder.iterdir()
    elif folder.is_file():
        return [folder]
    else:
        candidates = (Path(match) for match in glob.glob(pattern))
    paths = sorted(p for p in candidates if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        exists = "holds no image" if folder.is_dir() else "matches no image"
        raise SourceError(
            f"{pattern} {exists}; expected files that end in {', '.join(sorted(SUFFIXES))}; check "
            "the path"
        )
    return paths
