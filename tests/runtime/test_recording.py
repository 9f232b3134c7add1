"""Recording pictures of a stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime import recording, stream
from runtime.camera_files import ImageFilesSource, read_image
from runtime.detections import Detections
from runtime.errors import OutputError
from runtime.frames import Frame, FrameResult
from runtime.recording import CAPACITY, RecordingOptions, RecordingSink, write_picture
from tests.builders import picture, write_tiny_artifact, write_video


def result(sequence: int, image: np.ndarray | None = None) -> FrameResult:
    image = picture(brightness=20 + 10 * sequence) if image is None else image
    return FrameResult(Frame(image, "camera", sequence, 0), Detections.empty(), {})


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("never came true")


def numbers(folder: Path) -> list[int]:
    return [int(path.stem.split("-")[-1]) for path in sorted(folder.iterdir())]


class SlowDisk:
    """Holds every write until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = threading.Event()
        self.begun = 0

        def write(path: Path, image: np.ndarray) -> None:
            self.begun += 1
            assert self.free.wait(20)
            write_picture(path, image)

        monkeypatch.setattr(recording, "write_picture", write)


def test_pictures_are_kept_at_a_rate_and_named_in_order(tmp_path: Path, capsys) -> None:
    sink = RecordingSink(RecordingOptions(tmp_path / "new", 3, 100), is_live=False)
    for sequence in range(10):
        sink.publish(result(sequence))
    sink.close()
    sink.close()
    assert numbers(tmp_path / "new") == [0, 3, 6, 9]
    assert capsys.readouterr().out == f"recorded 4 pictures in {tmp_path / 'new'}\n"


def test_pictures_that_a_camera_lost_do_not_stop_the_rate(tmp_path: Path) -> None:
    sink = RecordingSink(RecordingOptions(tmp_path, 3, 100), is_live=True)
    for sequence in (0, 2, 4, 5, 11):
        sink.publish(result(sequence))
        wait_until(lambda: not sink._waiting._items)
    sink.close()
    assert numbers(tmp_path) == [0, 4, 11]


def test_there_are_never_more_than_asked_for(tmp_path: Path) -> None:
    sink = RecordingSink(RecordingOptions(tmp_path, 1, 3), is_live=False)
    for sequence in range(10):
        sink.publish(result(sequence))
    sink.close()
    assert numbers(tmp_path) == [0, 1, 2]


def test_a_second_recording_adds_to_the_folder(tmp_path: Path) -> None:
    for _ in range(2):
        sink = RecordingSink(RecordingOptions(tmp_path, 1, 3), is_live=False)
        for sequence in range(3):
            sink.publish(result(sequence))
        sink.close()
    assert numbers(tmp_path) == [0, 1, 2, 0, 1, 2]


def test_what_is_drawn_later_is_not_in_the_picture(tmp_path: Path) -> None:
    image = picture(brightness=120)
    expected = image.copy()
    sink = RecordingSink(RecordingOptions(tmp_path, 1, 3), is_live=False)
    sink.publish(result(0, image))
    image[:] = 0
    sink.close()
    (path,) = tmp_path.iterdir()
    assert np.abs(read_image(path).astype(int) - expected).max() <= 12


def test_a_recording_is_a_folder_to_calibrate_on(tmp_path: Path) -> None:
    sink = RecordingSink(RecordingOptions(tmp_path, 1, 3), is_live=False)
    for sequence in range(3):
        sink.publish(result(sequence))
    sink.close()
    source, means = ImageFilesSource(str(tmp_path)), []
    while (frame := source.read()) is not None:
        means.append(frame.image.mean())
    assert len(means) == 3 and means == sorted(means)


def test_a_slow_disk_does_not_stall_a_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    disk = SlowDisk(monkeypatch)
    sink = RecordingSink(RecordingOptions(tmp_path, 1, 100), is_live=True)
    sink.publish(result(0))
    wait_until(lambda: disk.begun == 1)
    for sequence in range(1, 12):
        sink.publish(result(sequence))  # returns although nothing can be written
    disk.free.set()
    sink.close()
    assert numbers(tmp_path) == [0, *range(12 - CAPACITY, 12)]
    assert sink.left_out == 11 - CAPACITY
    assert f"{sink.left_out} left out: the disk is slow" in capsys.readouterr().out


def test_pictures_that_were_left_out_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    sink = RecordingSink(RecordingOptions(tmp_path, 1, CAPACITY + 2), is_live=True)
    sink.publish(result(0))
    wait_until(lambda: disk.begun == 1)
    for sequence in range(1, 12):
        sink.publish(result(sequence))
    disk.free.set()
    wait_until(lambda: disk.begun == CAPACITY + 1)
    for sequence in (12, 13):
        sink.publish(result(sequence))
    sink.close()
    assert len(numbers(tmp_path)) == CAPACITY + 2


def test_discarding_removes_this_recording_only(tmp_path: Path) -> None:
    (tmp_path / "old.jpg").write_bytes(b"old")
    sink = RecordingSink(RecordingOptions(tmp_path, 1, 100), is_live=False)
    for sequence in range(5):
        sink.publish(result(sequence))
    sink.discard()
    sink.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["old.jpg"]
    assert not sink._writer.is_alive()


def test_after_closing_there_is_nothing_to_discard(tmp_path: Path) -> None:
    sink = RecordingSink(RecordingOptions(tmp_path, 1, 100), is_live=False)
    sink.publish(result(0))
    sink.close()
    sink.discard()
    assert numbers(tmp_path) == [0]


def test_a_full_disk_is_told_with_the_next_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, image: np.ndarray) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(recording, "write_picture", full)
    sink = RecordingSink(RecordingOptions(tmp_path, 1, 100), is_live=False)
    sink.publish(result(0))
    sink._writer.join(20)
    with pytest.raises(OSError, match="No space left"):
        sink.publish(result(1))
    sink.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "ENCODING", [cv2.IMWRITE_JPEG_QUALITY, 95])
    sink = RecordingSink(RecordingOptions(tmp_path, 1, 100), is_live=False)
    sink.publish(result(0, np.zeros((1, 70_000, 3), np.uint8)))
    with pytest.raises(OutputError, match="cannot encode a 70000x1 picture"):
        sink.close()
    sink.discard()


def test_a_picture_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_picture(tmp_path / "file" / "a.jpg", picture())
    write_picture(tmp_path / "deep" / "a.jpg", picture(1, 1))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.jpg"]


def test_a_stream_records_pictures_without_boxes(tmp_path: Path, capsys) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    video = write_video(tmp_path / "clip.mp4", frames=12, frame_rate=25)
    folder = tmp_path / "recorded"
    arguments = ["--video", video, "--artifact", artifact, "--record", folder, "--save"]
    arguments += [tmp_path / "o.mp4", "--record-every", 4, "--record-most", 2, "--score", 0]
    assert stream.main([str(argument) for argument in arguments]) == 0
    assert numbers(folder) == [0, 4]
    capture = cv2.VideoCapture(str(video))
    for path in sorted(folder.iterdir()):
        _, original = capture.read()
        difference = np.abs(read_image(path).astype(int) - original)
        assert difference.max() <= 12
        for _ in range(3):
            capture.read()
    assert f"recorded 2 pictures in {folder}" in capsys.readouterr().out
