"""The checks of pictures and outputs, on planted machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.camera_gstreamer import CSI_ELEMENTS, RTSP_ELEMENTS
from runtime.doctor_media import (
    LIBRARIES,
    check_cameras,
    check_gstreamer,
    check_libraries,
    check_opencv,
)
from runtime.findings import Ability, Finding, Verdict
from runtime.machine import Answer
from runtime.tracking import INSTALL
from runtime.video_encoder_gstreamer import NEEDED_ELEMENTS
from tests.fakes.machine import FakeMachine

# As getBuildInformation prints it.
BUILD = """5.0.0

General configuration for OpenCV 5.0.0 ====
  GUI:                           {gui}
  Video I/O:
    FFMPEG:                      {ffmpeg}
      avcodec:                   YES (62.28.101)
    GStreamer:                   NO
    v4l/v4l2:                    {v4l2} (linux/videodev2.h)
"""
GSTREAMER = {"gst-launch-1.0 --version": "gst-launch-1.0 version 1.22.0"}


def opencv(root: Path, gui: str = "QT5", ffmpeg: str = "YES", v4l2: str = "YES") -> list[Finding]:
    build = BUILD.format(gui=gui, ffmpeg=ffmpeg, v4l2=v4l2)
    return check_opencv(FakeMachine(root, pythons={"cv2": build}))


def with_text(findings: list[Finding], part: str) -> Finding:
    (finding,) = [found for found in findings if part in found.text]
    return finding


def test_an_opencv_that_has_everything(tmp_path: Path) -> None:
    (finding,) = opencv(tmp_path)
    assert (finding.text, finding.ability) == ("OpenCV 5.0.0", Ability.PICTURES)


@pytest.mark.parametrize(
    ("lacks", "text", "verdict"),
    [
        ({"v4l2": "NO"}, "OpenCV without V4L2", Verdict.MISSING),
        ({"ffmpeg": "NO"}, "OpenCV without FFmpeg", Verdict.MISSING),
        ({"gui": "NONE"}, "OpenCV without windows", Verdict.NOTE),
    ],
)
def test_what_an_opencv_lacks(
    tmp_path: Path, lacks: dict[str, str], text: str, verdict: Verdict
) -> None:
    first, second = opencv(tmp_path, **lacks)
    assert first.ability is Ability.PICTURES
    assert (second.text, second.verdict) == (text, verdict)
    assert "pip install" in second.remedy


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("ModuleNotFoundError: No module named 'cv2'", "pip install -e '.[opencv]'"),
        ("ImportError: libGL.so.1: cannot open shared object file", "sudo apt install libgl1"),
    ],
)
def test_an_opencv_that_does_not_load(tmp_path: Path, error: str, remedy: str) -> None:
    (finding,) = check_opencv(FakeMachine(tmp_path, pythons={"cv2": Answer(False, error)}))
    assert finding.verdict is Verdict.MISSING
    assert finding.ability is None
    assert error in finding.text
    assert remedy in finding.remedy


def test_a_gstreamer_that_has_everything(tmp_path: Path) -> None:
    elements = [*RTSP_ELEMENTS, *NEEDED_ELEMENTS, "nvv4l2decoder", "avdec_h264", "x264enc"]
    findings = check_gstreamer(FakeMachine(tmp_path, GSTREAMER, elements=elements))
    assert [finding.text for finding in findings] == [
        "GStreamer for RTSP cameras",
        "decoders in hardware: nvv4l2decoder",
        "decoders in software: avdec_h264",
        "H.264 encoders: x264enc",
    ]
    assert all(finding.verdict is Verdict.OK for finding in findings)


def test_without_gstreamer_each_feature_says_so_and_what_to_install(tmp_path: Path) -> None:
    findings = check_gstreamer(FakeMachine(tmp_path))
    rtsp = with_text(findings, "GStreamer without rtspsrc")
    assert rtsp.verdict is Verdict.NOTE  # OpenCV reads RTSP, too
    assert rtsp.needed_for == "RTSP cameras"
    assert "gstreamer1.0-plugins-good" in rtsp.remedy
    assert with_text(findings, "in hardware").verdict is Verdict.NOTE
    assert with_text(findings, "in software").remedy == "sudo apt install gstreamer1.0-libav"
    assert with_text(findings, "gst-launch").remedy == "sudo apt install gstreamer1.0-tools"
    assert not any("CSI" in finding.needed_for for finding in findings)


@pytest.mark.parametrize("elements", [NEEDED_ELEMENTS, ("x264enc",)])
def test_an_encoder_needs_what_is_around_it(tmp_path: Path, elements: tuple[str, ...]) -> None:
    findings = check_gstreamer(FakeMachine(tmp_path, GSTREAMER, elements=elements))
    finding = with_text(findings, "no H.264 encoder")
    assert (finding.verdict, "plugins-ugly" in finding.remedy) == (Verdict.NOTE, True)


@pytest.mark.parametrize("has_them", [True, False])
def test_a_jetson_is_looked_at_for_csi_cameras(tmp_path: Path, has_them: bool) -> None:
    machine = FakeMachine(tmp_path, elements=CSI_ELEMENTS if has_them else ())
    machine.add("/etc/nv_tegra_release", "# R36")
    finding = check_gstreamer(machine)[-1]
    assert (finding.verdict is Verdict.OK) == has_them
    assert "CSI cameras" in (finding.text if has_them else finding.needed_for)
    assert has_them or "nvidia-l4t-gstreamer" in finding.remedy


def test_optional_libraries(tmp_path: Path) -> None:
    findings = check_libraries(FakeMachine(tmp_path, modules=["paho"]))
    assert findings[0].verdict is Verdict.OK
    assert [finding.verdict for finding in findings[1:]] == [Verdict.NOTE] * (len(LIBRARIES) - 1)
    assert with_text(findings, "supervision").remedy == INSTALL
    assert with_text(findings, "starlette").remedy == "pip install -e '.[web]'"


def test_cameras(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    (finding,) = check_cameras(machine)
    assert finding.verdict is Verdict.NOTE
    assert "no /dev/video*" in finding.text
    machine.add_camera(0, "Webcam")
    machine.add_camera(1, "Other")
    machine.closed.add("/dev/video1")
    good, bad = check_cameras(machine)
    assert (good.verdict, good.text) == (Verdict.OK, "/dev/video0: Webcam")
    assert bad.verdict is Verdict.MISSING
    assert "--groups video" in bad.remedy


def test_a_device_that_does_not_answer_has_no_remedy_of_rights(tmp_path: Path) -> None:
    (finding,) = check_cameras(FakeMachine(tmp_path).add("/dev/video0"))
    assert (finding.verdict, finding.remedy) == (Verdict.MISSING, "")
