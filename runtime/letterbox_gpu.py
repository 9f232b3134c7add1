"""The letterbox kernel of the plugin library, on raw device addresses."""

from __future__ import annotations

import ctypes
from pathlib import Path

from plugins.library import open_library
from runtime.errors import BackendError
from runtime.geometry import Letterbox
from runtime.preprocess import PADDING_VALUE

FUNCTION = "cornerrt_letterbox"


class LetterboxGeometry(ctypes.Structure):
    """The kernel's view of a ``Letterbox``; the same fields as in ``letterbox_kernel.h``."""

    _fields_ = (
        ("image_height", ctypes.c_int32),
        ("image_width", ctypes.c_int32),
        ("canvas_height", ctypes.c_int32),
        ("canvas_width", ctypes.c_int32),
        ("resized_height", ctypes.c_int32),
        ("resized_width", ctypes.c_int32),
        ("top", ctypes.c_int32),
        ("left", ctypes.c_int32),
        ("padding", ctypes.c_int32),
    )


class LetterboxKernel:
    """Does on the GPU what ``runtime.preprocess.letterbox_image`` does, within one level.

    Args:
        library: The plugin library.

    Raises:
        BackendError: On creation, if the library does not load or is older than the kernel.
    """

    def __init__(self, library: Path) -> None:
        try:
            self._function = open_library(library)[FUNCTION]
        except (OSError, AttributeError) as error:
            raise BackendError(
                f"{library} has no letterbox kernel ({error}); expected the library of this "
                "version; build it again: make plugins"
            ) from None
        self._function.argtypes = (
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.POINTER(LetterboxGeometry),
            ctypes.c_void_p,
        )

    def launch(self, image: int, canvas: int, letterbox: Letterbox, stream: int) -> None:
        """Enqueue one letterbox.

        Args:
            image: Device address of the picture, uint8 (*letterbox.image_hw, 3), without gaps.
            canvas: Device address of the canvas, uint8 (*letterbox.network_hw, 3), written whole.
            letterbox: Where the picture goes.
            stream: Handle of the stream.

        Raises:
            BackendError: If the kernel refuses the sizes or cannot be launched on this GPU.
        """
        geometry = LetterboxGeometry(
            *letterbox.image_hw,
            *letterbox.network_hw,
            *letterbox.resized_hw,
            *letterbox.offset_yx,
            PADDING_VALUE,
        )
        status = self._function(image, canvas, ctypes.byref(geometry), stream)
        if status:
            raise BackendError(
                f"the letterbox kernel failed (CUDA error {status}) on {letterbox}; expected "
                "success; build it for this GPU: make plugins"
            )
