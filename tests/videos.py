"""Reading videos back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from runtime.opencv_log import silence_opencv


def read_video(path: Path) -> tuple[list[np.ndarray], float]:
    """Return all pictures of a video and its rate."""
    silence_opencv()  # FFmpeg keeps for good what holds when the first video is opened
    capture, images = cv2.VideoCapture(str(path)), []
    while True:
        delivered, image = capture.read()
        if not delivered:
            return images, capture.get(cv2.CAP_PROP_FPS)
        images.append(image)
