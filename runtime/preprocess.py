"""From a source's picture to the network's input."""

from __future__ import annotations

import cv2
import numpy as np

from runtime.errors import SourceError
from runtime.geometry import Letterbox

PADDING_VALUE = 0  # black, as in the published test code


def bgr8_from_image(image: np.ndarray, source: str) -> np.ndarray:
    """Return any common picture as uint8 BGR; the same array when it already is.

    Grey pictures get three equal channels, an alpha channel is dropped, and 16-bit pictures keep
    their upper eight bits, as ``cv2.imread`` does.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA; uint8 or uint16.
        source: Where it came from, for the message.

    Returns:
        uint8 (H, W, 3).

    Raises:
        SourceError: If the picture is empty, or of another type or shape.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    known = image.ndim in (2, 3) and channels in (1, 3, 4) and image.dtype in (np.uint8, np.uint16)
    if not known or image.size == 0:
        raise SourceError(
            f"{source} delivered {image.dtype} {image.shape}; expected a picture of at least one "
            "pixel, 8 or 16 bits, 1, 3 or 4 channels; convert it first"
        )
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    if channels == 4:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2BGR))
    return image


def letterbox_image(
    image: np.ndarray, letterbox: Letterbox, out: np.ndarray | None = None
) -> np.ndarray:
    """Scale a picture onto the network's canvas and fill the borders with black.

    Args:
        image: uint8 (H, W, 3), the size that ``letterbox`` was made for; not modified.
        letterbox: Where the picture goes.
        out: uint8 (network H, network W, 3) to write to, completely; a new array if left out. Only
            the caller reuses it: nothing here keeps a reference.

    Returns:
        ``out``, or the new array.

    Raises:
        ValueError: If ``image`` or ``out`` does not have the letterbox's size.
    """
    if out is None:
        out = np.empty((*letterbox.network_hw, 3), np.uint8)
    for name, array, size in (
        ("image", image, letterbox.image_hw),
        ("out", out, letterbox.network_hw),
    ):
        if array.shape != (*size, 3) or array.dtype != np.uint8:
            raise ValueError(f"{name} is {array.dtype} {array.shape}; expected uint8 {(*size, 3)}")
    (top, left), (height, width) = letterbox.offset_yx, letterbox.resized_hw
    bottom, right = top + height, left + width
    out[:top] = PADDING_VALUE
    out[bottom:] = PADDING_VALUE
    out[top:bottom, :left] = PADDING_VALUE
    out[top:bottom, right:] = PADDING_VALUE
    inside = out[top:bottom, left:right]
    if (height, width) == letterbox.image_hw:
        inside[:] = image
        return out
    # Bilinear without smoothing, as in training and in the published test code.
    resized = cv2.resize(image, (width, height), dst=inside, interpolation=cv2.INTER_LINEAR)
    if resized is not inside and not np.shares_memory(resized, inside):
        inside[:] = resized
    return out
