"""Annotated pictures in windows, one for each camera."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import cv2

from runtime.errors import OutputError
from runtime.frames import FrameResult

WINDOW_TITLE = "CornerRT"
KEYS_TO_QUIT = frozenset({ord("q"), 27})  # 27 is Escape


class WindowSink:
    """Shows each camera's pictures in a window; Escape, ``q`` or closing one ends the stream.

    Use from the main thread: window systems insist on it.

    Args:
        cameras: Names of the cameras, at least one; with several they are part of the titles.

    Attributes:
        quit_requested: Whether the user wants to quit.

    Raises:
        OutputError: If this OpenCV has no windows, or there is no display.
    """

    name = "show"
    needs_picture = True
    in_main_thread = True

    def __init__(self, cameras: Sequence[str]) -> None:
        self.quit_requested = False
        self._titles = {
            camera: WINDOW_TITLE if len(cameras) == 1 else f"{WINDOW_TITLE}: {camera}"
            for camera in cameras
        }
        self._open: list[str] = []
        self._seen_visible: set[str] = set()
        # Checked first: without a display, OpenCV's window library ends the process.
        if sys.platform == "linux" and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            raise OutputError(
                "--show found no display (DISPLAY is not set); expected a desktop session; use "
                "--save, or log in with: ssh -X" + _headless_hint()
            )
        try:
            for title in self._titles.values():
                cv2.namedWindow(title, cv2.WINDOW_NORMAL)
                self._open.append(title)
        except cv2.error:
            raise OutputError(
                f"--show needs windows, which this OpenCV {cv2.__version__} lacks; use --save"
                + _headless_hint()
            ) from None

    def publish(self, result: FrameResult) -> None:
        """Show one picture and look for a key."""
        title = self._titles[result.camera]
        if self._was_closed(title):
            self.quit_requested = True
            return  # showing a picture would open the window again
        cv2.imshow(title, result.annotated)
        if cv2.waitKey(1) & 0xFF in KEYS_TO_QUIT:
            self.quit_requested = True

    def close(self) -> None:
        """Close the windows."""
        while self._open:
            title = self._open.pop()
            if not self._was_closed(title):
                cv2.destroyWindow(title)

    def discard(self) -> None:
        """Close the windows."""
        self.close()

    def _was_closed(self, title: str) -> bool:
        """Say whether the user closed a window; some window systems never say that one is open."""
        if cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1:
            self._seen_visible.add(title)
            return False
        return title in self._seen_visible


def _headless_hint() -> str:
    """Name the package to install where OpenCV was built without windows."""
    gui = next((line for line in cv2.getBuildInformation().splitlines() if " GUI:" in line), "")
    if "NONE" not in gui:
        return ""
    return (
        "; and this is the headless OpenCV: pip uninstall opencv-python-headless, then "
        "pip install opencv-python"
    )
