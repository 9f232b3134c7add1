"""OpenCV's own messages, which would break the rule of one error line."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import pytest

from runtime import opencv_log
from runtime.opencv_log import silence_opencv


def log_functions() -> SimpleNamespace:
    """Return where this OpenCV keeps ``setLogLevel`` and ``getLogLevel``."""
    return cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging


@pytest.fixture(autouse=True)
def restore_level():
    level = log_functions().getLogLevel()
    yield
    log_functions().setLogLevel(level)


def test_opencv_is_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    log_functions().setLogLevel(3)
    silence_opencv()
    assert log_functions().getLogLevel() == 0


def test_a_user_who_asks_for_the_log_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "INFO")
    log_functions().setLogLevel(4)
    silence_opencv()
    assert log_functions().getLogLevel() == 4


@pytest.mark.parametrize("version", ["4", "5"])
def test_both_places_of_the_function_are_known(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    levels: list[int] = []
    functions = SimpleNamespace(setLogLevel=levels.append)
    opencv_5 = SimpleNamespace(utils=SimpleNamespace(logging=functions))
    monkeypatch.setattr(opencv_log, "cv2", functions if version == "4" else opencv_5)
    silence_opencv()
    assert levels == [0]
