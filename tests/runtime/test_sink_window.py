"""Windows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime import sink_window
from runtime.errors import OutputError
from runtime.sink_window import WindowSink
from tests.results import result

HAS_WINDOWS = not any(
    "GUI:" in line and "NONE" in line for line in cv2.getBuildInformation().splitlines()
)


class FakeWindows:
    """OpenCV's window functions, for a build without them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, key: int = -1, says: float = 1.0) -> None:
        self.shown: dict[str, np.ndarray] = {}
        self.visible: dict[str, float] = {}
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(cv2, "namedWindow", lambda title, _: self.visible.update({title: says}))
        monkeypatch.setattr(cv2, "imshow", lambda title, image: self.shown.update({title: image}))
        monkeypatch.setattr(cv2, "waitKey", lambda _delay: key)
        monkeypatch.setattr(cv2, "destroyWindow", self.visible.pop)
        monkeypatch.setattr(
            cv2, "getWindowProperty", lambda title, _: self.visible.get(title, -1.0)
        )


def test_without_a_display_the_window_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_window.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OutputError, match="found no display"):
        WindowSink(["a"])


@pytest.mark.skipif(HAS_WINDOWS, reason="this OpenCV has windows")
def test_a_headless_opencv_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(OutputError, match=r"lacks.*pip install opencv-python$"):
        WindowSink(["a"])


@pytest.mark.parametrize(
    ("key", "quits"), [(-1, False), (ord("x"), False), (ord("q"), True), (27, True)]
)
def test_a_window_shows_pictures_and_listens_to_keys(
    monkeypatch: pytest.MonkeyPatch, key: int, quits: bool
) -> None:
    windows = FakeWindows(monkeypatch, key)
    sink = WindowSink(["clip.mp4"])
    shown = result()
    sink.publish(shown)
    assert windows.shown == {"CornerRT": shown.annotated}
    assert sink.quit_requested is quits
    sink.close()
    sink.discard()
    assert not windows.visible


def test_every_camera_has_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = FakeWindows(monkeypatch)
    sink = WindowSink(["gate", "yard"])
    for camera in ("gate", "yard"):
        sink.publish(result(camera=camera))
    assert set(windows.shown) == {"CornerRT: gate", "CornerRT: yard"}
    sink.close()
    assert not windows.visible


@pytest.mark.parametrize("says", [0.0, -1.0])
def test_closing_a_window_ends_the_stream_and_does_not_open_it_again(
    monkeypatch: pytest.MonkeyPatch, says: float
) -> None:
    windows = FakeWindows(monkeypatch)
    sink = WindowSink(["gate", "yard"])
    sink.publish(result(camera="gate"))
    windows.visible["CornerRT: gate"] = says
    windows.shown.clear()
    sink.publish(result(camera="gate"))
    assert sink.quit_requested
    assert not windows.shown
    sink.close()
    assert windows.visible == {"CornerRT: gate": says}


def test_window_systems_that_cannot_tell_are_believed_to_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    windows = FakeWindows(monkeypatch, says=-1.0)
    sink = WindowSink(["gate"])
    for _ in range(3):
        sink.publish(result(camera="gate"))
    assert not sink.quit_requested
    sink.close()
    assert not windows.visible
