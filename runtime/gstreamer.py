"""Which parts of GStreamer this machine has, and which packages bring the others."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Sequence

from runtime.errors import SourceError
from runtime.gstreamer_process import json_object, kill_child, start_child

FIND_TIMEOUT_S = 60.0  # the first start after an installation looks through all plugins

# Debian's and JetPack's packages, by element.
PACKAGES = {
    "appsink": "gstreamer1.0-plugins-base",
    "avdec_h264": "gstreamer1.0-libav",
    "avdec_h265": "gstreamer1.0-libav",
    "decodebin": "gstreamer1.0-plugins-base",
    "h264parse": "gstreamer1.0-plugins-bad",
    "nvarguscamerasrc": "nvidia-l4t-gstreamer",
    "nvv4l2decoder": "nvidia-l4t-gstreamer",
    "nvvidconv": "nvidia-l4t-gstreamer",
    "rtph264depay": "gstreamer1.0-plugins-good",
    "rtspsrc": "gstreamer1.0-plugins-good",
    "videoconvert": "gstreamer1.0-plugins-base",
}
LIBRARY_PACKAGES = "libgstreamer1.0-0 and gstreamer1.0-plugins-base"


@functools.lru_cache(maxsize=32)
def find_elements(names: tuple[str, ...]) -> frozenset[str]:
    """Return those of these GStreamer elements that this machine has; asked once per process.

    An element of a missing GPU counts as missing: its plugin does not offer it. Empty where there
    is no GStreamer at all.
    """
    child = start_child({"elements": list(names)})
    try:
        _, messages = child.communicate(timeout=FIND_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return frozenset()
    finally:
        kill_child(child)
    for line in messages.decode(errors="replace").splitlines():
        message = json_object(line)
        if "elements" in message:
            return frozenset(message["elements"])
    return frozenset()


def packages_of(elements: Sequence[str]) -> str:
    """Name the packages that bring these elements, for a message."""
    return " ".join(sorted({PACKAGES.get(name, LIBRARY_PACKAGES) for name in elements}))


def require_elements(camera: str, names: tuple[str, ...]) -> None:
    """Refuse to go on without these elements.

    Raises:
        SourceError: If one is missing; names its package.
    """
    missing = [name for name in names if name not in find_elements(names)]
    if missing:
        raise SourceError(
            f"{camera} needs the GStreamer elements {', '.join(missing)}, which are missing; "
            f"expected an installation with them: sudo apt install {packages_of(missing)}"
        )
