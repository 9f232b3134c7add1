"""Videos, JSON lines and windows."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime import sinks
from runtime.detections import Detections
from runtime.errors import OutputError
from runtime.frames import Frame, FrameResult
from runtime.sinks import JsonlSink, VideoSink, WindowSink
from tests.builders import picture


def result(sequence: int = 0, image: np.ndarray | None = None, seconds: float = 0.0) -> FrameResult:
    found = Detections(
        np.float32([[1.234, 2, 30, 40.555], [0, 0, 5, 5]]),
        np.float32([0.98768, 0.5]),
        np.int32([1, 0]),
    )
    image = picture() if image is None else image
    frame = Frame(image, "clip.mp4", sequence, round(seconds * 1e9))
    return FrameResult(frame, found, {})


def read_video(path: Path) -> tuple[list[np.ndarray], float]:
    capture, images = cv2.VideoCapture(str(path)), []
    while True:
        delivered, image = capture.read()
        if not delivered:
            return images, capture.get(cv2.CAP_PROP_FPS)
        images.append(image)


def test_a_video_keeps_pictures_and_rate_and_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.mp4"
    sink = VideoSink(path, 25.0, keep_time=False)
    for index in range(10):
        sink.publish(result(index, picture(brightness=100 + 10 * index)))
        assert not path.exists()
    sink.close()
    sink.close()
    images, rate = read_video(path)
    assert len(images) == 10
    assert rate == 25.0
    means = [image.mean() for image in images]
    np.testing.assert_allclose(means, 100 + 10 * np.arange(10), atol=4)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("rate", [0.1, 30000 / 1001, 67.123, 239.7603, 1000.0])
def test_every_rate_that_a_source_may_state_can_be_written(tmp_path: Path, rate: float) -> None:
    sink = VideoSink(tmp_path / "out.mp4", rate, keep_time=False)
    for index in range(3):
        sink.publish(result(index))
    sink.close()
    assert read_video(tmp_path / "out.mp4")[1] == pytest.approx(rate, rel=1e-4)


def test_a_discarded_video_leaves_nothing(tmp_path: Path) -> None:
    for frames in (0, 3):
        sink = VideoSink(tmp_path / "out.mp4", 25.0, keep_time=False)
        for index in range(frames):
            sink.publish(result(index))
        sink.discard()
        assert list(tmp_path.iterdir()) == []


def test_without_pictures_there_is_no_video(tmp_path: Path) -> None:
    VideoSink(tmp_path / "out.mp4", 25.0, keep_time=False).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("image_hw", [(1, 1), (97, 151), (1, 300), (480, 640)])
def test_any_size_becomes_a_playable_video(tmp_path: Path, image_hw: tuple[int, int]) -> None:
    sink = VideoSink(tmp_path / "out.mp4", 5.0, keep_time=False)
    for index in range(3):
        sink.publish(result(index, picture(*image_hw)))
    sink.close()
    images, _ = read_video(tmp_path / "out.mp4")
    assert len(images) == 3
    assert images[0].shape[0] % 2 == images[0].shape[1] % 2 == 0
    assert images[0].shape[0] >= image_hw[0]


def test_pictures_of_another_size_are_letterboxed_to_the_first(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", 5.0, keep_time=False)
    sink.publish(result(0, picture(48, 64)))
    sink.publish(result(1, picture(64, 48)))
    sink.close()
    images, _ = read_video(tmp_path / "out.mp4")
    assert [image.shape for image in images] == [(48, 64, 3)] * 2
    assert images[1][:, :8].mean() < 30  # black at the sides
    assert images[1][:, 28:36].mean() > 150


def test_a_live_video_runs_as_fast_as_the_scene(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", 10.0, keep_time=True)
    # 10 per second stated; captured at 0, 0.1, 0.5 and 0.52 s: three repeats, one left out.
    for index, seconds in enumerate((0.0, 0.1, 0.5, 0.52)):
        sink.publish(result(index, picture(brightness=60 * (index + 1) - 40), seconds))
    sink.close()
    images, _ = read_video(tmp_path / "out.mp4")
    assert [round(image.mean() / 10) * 10 for image in images] == [20, 80, 140, 140, 140, 140]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        VideoSink(tmp_path / "file" / "out.mp4", 25.0, keep_time=False)


def test_an_encoder_that_does_not_open_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "FOURCC", cv2.VideoWriter.fourcc(*"none"))
    sink = VideoSink(tmp_path / "out.mp4", 25.0, keep_time=False)
    with pytest.raises(OutputError, match="cannot write a 64x48 video"):
        sink.publish(result())
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_lost_pictures_is_an_error_and_removed(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", 25.0, keep_time=False)
    sink.publish(result())
    sink._written = 5  # as if four had not reached the disk
    with pytest.raises(OutputError, match="would hold 1 of 5 pictures"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_json_lines_hold_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonlSink(path, ("square", "circle"))
    sink.publish(result(7, seconds=1.5))
    sink.publish(FrameResult(result(8).frame, Detections.empty(), {}))
    assert not path.exists()
    sink.close()
    sink.close()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {
        "frame": 7,
        "source": "clip.mp4",
        "captured_ns": 1_500_000_000,
        "image_hw": [48, 64],
        "detections": [
            {
                "class_name": "circle",
                "class_id": 1,
                "score": 0.9877,
                "box_xyxy": [1.23, 2, 30, 40.56],
            },
            {"class_name": "square", "class_id": 0, "score": 0.5, "box_xyxy": [0, 0, 5, 5]},
        ],
    }
    assert (second["frame"], second["detections"]) == (8, [])


def test_discarded_json_lines_leave_nothing_and_an_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    sink = JsonlSink(path, ("square", "circle"))
    sink.publish(result())
    sink.discard()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_does_not_keep_the_partial_file(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "out.jsonl", ("square", "circle"))

    class Full:
        closed = False

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    sink._stream.close()
    sink._stream = Full()  # type: ignore[assignment]
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_without_a_display_the_window_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OutputError, match="found no display"):
        WindowSink()


@pytest.mark.skipif(
    not any("GUI:" in x and "NONE" in x for x in cv2.getBuildInformation().splitlines()),
    reason="this OpenCV has windows",
)
def test_a_headless_opencv_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(OutputError, match=r"lacks.*pip install opencv-python$"):
        WindowSink()


class FakeWindows:
    """OpenCV's window functions, for a build without them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, key: int = -1) -> None:
        self.shown: list[np.ndarray] = []
        self.open = False
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: setattr(self, "open", True))
        monkeypatch.setattr(cv2, "imshow", lambda _title, image: self.shown.append(image))
        monkeypatch.setattr(cv2, "waitKey", lambda _delay: key)
        monkeypatch.setattr(cv2, "destroyWindow", lambda _title: setattr(self, "open", False))


@pytest.mark.parametrize(
    ("key", "quits"), [(-1, False), (ord("x"), False), (ord("q"), True), (27, True)]
)
def test_a_window_shows_pictures_and_listens_to_keys(
    monkeypatch: pytest.MonkeyPatch, key: int, quits: bool
) -> None:
    windows = FakeWindows(monkeypatch, key)
    sink = WindowSink()
    shown = result()
    sink.publish(shown)
    assert windows.shown[0] is shown.frame.image
    assert sink.quit_requested is quits
    sink.close()
    assert not windows.open
