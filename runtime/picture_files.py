"""Pictures as JPEG files, for recordings and snapshots."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from runtime.atomic_file import replace_when_done
from runtime.errors import OutputError

# JPEG, not PNG: a small computer encodes it several times faster into a fraction of the space, and
# most cameras deliver JPEG anyway. At this quality, with colours at full resolution, a pixel moves
# by a grey level or two, far less than between two frames of a real sensor.
ENCODING = [
    *(cv2.IMWRITE_JPEG_QUALITY, 95),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]


def encode_picture(option: str, image: np.ndarray) -> bytes:
    """Return a picture as JPEG.

    Args:
        option: That asks for it, without dashes, for the message.
        image: uint8 (H, W, 3), BGR.

    Raises:
        OutputError: If it is larger than a JPEG can be.
    """
    try:
        encoded, data = cv2.imencode(".jpg", image, ENCODING)
    except cv2.error:
        encoded = False
    if not encoded:
        height, width = image.shape[:2]
        raise OutputError(
            f"--{option} cannot encode a {width}x{height} picture as JPEG; expected at most 65500 "
            f"pixels a side; leave out --{option}"
        )
    return data.tobytes()


def write_complete(path: Path, data: bytes) -> None:
    """Write a file, completely or not at all, into a folder that exists.

    Raises:
        OSError: If it cannot be written, or the folder is gone. A folder that somebody deleted or
            unplugged is not made again: what is written there might go to another disk.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "No such file or directory", str(path.parent))
    with replace_when_done(path) as partial:
        partial.write_bytes(data)
