"""H.264 by a GStreamer process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from runtime import video_encoder_gstreamer
from runtime.errors import OutputError
from runtime.video_encoder_gstreamer import (
    ELEMENTS,
    EncoderElement,
    GStreamerEncoder,
    gstreamer_command,
    working_encoder,
)
from runtime.video_encoders import VideoFormat
from tests.builders import picture
from tests.fakes.disks import small_disk
from tests.videos import read_video

ROOT = Path(__file__).resolve().parents[2]
VIDEO = VideoFormat((256, 320), 25.0)


@pytest.fixture(scope="module")
def element() -> EncoderElement:
    found = working_encoder()
    if found is None:
        pytest.skip(
            "no H.264 encoder of GStreamer works here: install the Debian packages "
            "gstreamer1.0-tools, -plugins-base, -plugins-good, -plugins-bad and -plugins-ugly"
        )
    return found


@pytest.fixture
def fresh_search() -> Iterator[None]:
    """Encoders are looked for anew, during the test and after it."""
    working_encoder.cache_clear()
    yield
    working_encoder.cache_clear()


def noise(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (256, 320, 3), np.uint8)


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("never came true")


def test_a_video_keeps_pictures_and_rate(tmp_path: Path, element: EncoderElement) -> None:
    path = tmp_path / "a b'c\"d\\e;!%d.mp4"
    encoder = GStreamerEncoder(path, VideoFormat((256, 320), 30000 / 1001), element)
    for index in range(40):
        encoder.write(picture(256, 320, brightness=60 + 4 * index))
    encoder.finish()
    encoder.abort()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    images, rate = read_video(path.rename(tmp_path / "out.mp4"))
    assert rate == pytest.approx(30000 / 1001)
    assert len(images) == 40
    np.testing.assert_allclose([image.mean() for image in images], 60 + 4 * np.arange(40), atol=16)


@pytest.mark.parametrize("rate", [0.5, 67.123, 239.7603])
def test_unusual_rates_can_be_written(tmp_path: Path, element: EncoderElement, rate: float) -> None:
    encoder = GStreamerEncoder(tmp_path / "out.mp4", VideoFormat((256, 320), rate), element)
    for index in range(3):
        encoder.write(noise(index))
    encoder.finish()
    encoder.abort()
    images, stored = read_video(tmp_path / "out.mp4")
    assert (len(images), stored) == (3, pytest.approx(rate, rel=1e-3))


@pytest.mark.parametrize("width", [320, 318, 302, 256])
def test_every_pixel_is_where_it_was(tmp_path: Path, element: EncoderElement, width: int) -> None:
    image = np.zeros((256, width, 3), np.uint8)
    image[:, width // 2 :] = (0, 0, 200)  # BGR: red
    encoder = GStreamerEncoder(tmp_path / "out.mp4", VideoFormat((256, width), 25.0), element)
    for _ in range(5):
        encoder.write(image)
    encoder.finish()
    encoder.abort()
    images, _ = read_video(tmp_path / "out.mp4")
    assert len(images) == 5
    assert np.abs(images[-1].astype(int) - image).mean() < 6


def test_rows_that_are_not_contiguous_are_written_right(
    tmp_path: Path, element: EncoderElement
) -> None:
    wide = np.zeros((256, 640, 3), np.uint8)
    wide[:, ::2] = 200
    encoder = GStreamerEncoder(tmp_path / "out.mp4", VIDEO, element)
    for _ in range(5):
        encoder.write(wide[:, ::2])
    encoder.finish()
    encoder.abort()
    assert read_video(tmp_path / "out.mp4")[0][-1].min() > 150


def test_an_encoder_that_dies_is_one_error(tmp_path: Path, element: EncoderElement) -> None:
    encoder = GStreamerEncoder(tmp_path / "out.mp4", VIDEO, element)
    encoder.write(noise(0))
    os.kill(encoder._process.pid, signal.SIGKILL)
    encoder._process.wait()
    with pytest.raises(OutputError, match=rf"GStreamer's {element.name}, has ended; expected"):
        encoder.write(noise(1))
    with pytest.raises(OutputError, match="ended with status -9"):
        encoder.finish()
    encoder.abort()
    encoder.abort()


def test_an_encoder_that_hangs_is_one_error(
    tmp_path: Path, element: EncoderElement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_encoder_gstreamer, "WRITE_TIMEOUT_S", 0.2)
    encoder = GStreamerEncoder(tmp_path / "out.mp4", VIDEO, element)
    os.kill(encoder._process.pid, signal.SIGSTOP)
    with pytest.raises(OutputError, match=r"takes no picture for 0\.2 s"):
        for index in range(100):
            encoder.write(noise(index % 2))
    assert encoder._process.poll() is not None
    encoder.abort()


def test_an_encoder_that_does_not_finish_is_one_error(
    tmp_path: Path, element: EncoderElement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_encoder_gstreamer, "FINISH_TIMEOUT_S", 0.2)
    encoder = GStreamerEncoder(tmp_path / "out.mp4", VIDEO, element)
    encoder.write(noise(0))
    os.kill(encoder._process.pid, signal.SIGSTOP)
    with pytest.raises(OutputError, match=r"did not finish within 0\.2 s"):
        encoder.finish()
    assert encoder._process.poll() is not None
    encoder.abort()


def test_a_full_disk_is_one_error(tmp_path: Path, element: EncoderElement) -> None:
    with small_disk(tmp_path / "disk", "100k") as disk:
        encoder = GStreamerEncoder(disk / "out.mp4", VIDEO, element)
        with pytest.raises(OutputError, match=r"No space left on the resource; expected room"):
            for index in range(200):
                encoder.write(noise(index))
            encoder.finish()
        encoder.abort()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, element: EncoderElement) -> None:
    with pytest.raises(FileNotFoundError):
        GStreamerEncoder(tmp_path / "gone" / "out.mp4", VIDEO, element)


def test_signals_for_the_program_do_not_end_the_video(
    tmp_path: Path, element: EncoderElement
) -> None:
    encoder = GStreamerEncoder(tmp_path / "out.mp4", VIDEO, element)
    encoder.write(noise(0))
    for index in range(1, 30):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(encoder._process.pid, number)
        encoder.write(noise(index))
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # only there
    encoder.finish()
    encoder.abort()
    assert len(read_video(tmp_path / "out.mp4")[0]) == 30


def test_a_program_that_is_killed_leaves_a_whole_video(
    tmp_path: Path, element: EncoderElement
) -> None:
    program = (
        "import os, signal, sys, numpy as np; from pathlib import Path\n"
        "from runtime.video_encoder_gstreamer import ELEMENTS, GStreamerEncoder\n"
        "from runtime.video_encoders import VideoFormat\n"
        "element = next(one for one in ELEMENTS if one.name == sys.argv[2])\n"
        "encoder = GStreamerEncoder(Path(sys.argv[1]), VideoFormat((256, 320), 25.0), element)\n"
        "for _ in range(50): encoder.write(np.zeros((256, 320, 3), np.uint8))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "out.mp4"
    command = [sys.executable, "-c", program, str(path), element.name]
    done = subprocess.run(command, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    # The encoder finishes on its own.
    wait_until(lambda: path.exists() and len(read_video(path)[0]) == 50)


def test_a_machine_that_stops_leaves_a_video_up_to_its_last_second(
    tmp_path: Path, element: EncoderElement
) -> None:
    if len(video_encoder_gstreamer._muxer()) == 1:
        pytest.skip("needs GStreamer 1.20: Debian package gstreamer1.0-plugins-good")
    path = tmp_path / "out.mp4"
    encoder = GStreamerEncoder(path, VIDEO, element)
    for index in range(100):  # 4 s
        encoder.write(noise(index % 5))
    wait_until(lambda: path.exists() and len(read_video(path)[0]) >= 50)
    encoder._process.kill()
    encoder.abort()
    assert len(read_video(path)[0]) >= 50


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.name)
def test_every_encoder_is_told_size_rate_and_bits(element: EncoderElement) -> None:
    command = gstreamer_command(VideoFormat((480, 640), 29.97), element, ["fakesink"])
    text = " ".join(command)
    assert "width=640 height=480 framerate=2997/100 !" in text
    bits = round(0.1 * 480 * 640 * 29.97)
    assert f"={bits}" in text or f"={bits // 1000} " in text
    assert "{" not in text
    assert command[-1] == "fakesink" and "!" in command


@pytest.mark.usefixtures("fresh_search")
def test_without_gstreamer_there_is_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert working_encoder() is None


@pytest.mark.usefixtures("fresh_search")
def test_without_a_muxer_there_is_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_encoder_gstreamer.shutil, "which", lambda _: "/usr/bin/gst-launch")
    monkeypatch.setattr(
        video_encoder_gstreamer, "find_elements", lambda names: frozenset(names) - {"mp4mux"}
    )
    assert working_encoder() is None


@pytest.mark.usefixtures("fresh_search")
def test_the_first_that_works_is_taken_not_the_first_that_is_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def works(element: EncoderElement) -> bool:
        tried.append(element.name)
        return element.name == "openh264enc"

    here = {*video_encoder_gstreamer.NEEDED_ELEMENTS, "nvv4l2h264enc", "openh264enc", "x264enc"}
    monkeypatch.setattr(video_encoder_gstreamer.shutil, "which", lambda _: "/usr/bin/gst-launch")
    monkeypatch.setattr(video_encoder_gstreamer, "find_elements", lambda _: frozenset(here))
    monkeypatch.setattr(video_encoder_gstreamer, "_works", works)
    found = working_encoder()
    assert found is not None and found.name == "openh264enc"
    assert tried == ["nvv4l2h264enc", "openh264enc"]


def test_a_trial_finds_out_what_does_not_work(
    element: EncoderElement, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert video_encoder_gstreamer._works(element)
    broken = EncoderElement(element.name, "videoconvert ! video/x-raw,format=RGB", "bitrate=x")
    assert not video_encoder_gstreamer._works(broken)
    monkeypatch.setattr(video_encoder_gstreamer, "TRIAL_TIMEOUT_S", 0.0)
    assert not video_encoder_gstreamer._works(element)
