"""Keeps OpenCV and FFmpeg from adding lines of their own to our one error message."""

from __future__ import annotations

import os

import cv2

AV_LOG_QUIET = "-8"
LOG_LEVEL_SILENT = 0


def silence_opencv() -> None:
    """Turn off the logs of OpenCV and its FFmpeg, unless the user has set them in the environment.

    Call before a file or device is opened.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", AV_LOG_QUIET)  # read when a video is opened
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # OpenCV 4, which a Jetson brings, has the function here; OpenCV 5 moved it.
        if hasattr(cv2, "setLogLevel"):
            cv2.setLogLevel(LOG_LEVEL_SILENT)
        else:
            cv2.utils.logging.setLogLevel(LOG_LEVEL_SILENT)
