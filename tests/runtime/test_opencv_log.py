"""OpenCV's own messages, which would break the rule of one error line."""

from __future__ import annotations

import cv2
import pytest

from runtime.opencv_log import silence_opencv


@pytest.fixture(autouse=True)
def restore_level():
    level = cv2.utils.logging.getLogLevel()
    yield
    cv2.utils.logging.setLogLevel(level)


def test_opencv_is_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    cv2.utils.logging.setLogLevel(3)
    silence_opencv()
    assert cv2.utils.logging.getLogLevel() == 0


def test_a_user_who_asks_for_the_log_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "INFO")
    cv2.utils.logging.setLogLevel(4)
    silence_opencv()
    assert cv2.utils.logging.getLogLevel() == 4
