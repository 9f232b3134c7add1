"""The table of cameras, and why it is empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.camera_list import list_cameras
from tests.fakes.machine import FakeMachine

MODES = "[0]: 'MJPG' (Motion-JPEG)\n\tSize: Discrete 1280x720\n\t\tInterval: (30.000 fps)\n"


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path, {"v4l2-ctl": MODES})


def test_each_camera_is_listed_with_how_to_use_it(machine: FakeMachine) -> None:
    machine.add_camera(0, "Webcam")
    machine.add_camera(12, "Grabber", driver="cx231xx")
    machine.path("/dev/v4l/by-id").mkdir(parents=True)
    machine.path("/dev/v4l/by-id/usb-x").symlink_to("../../video0")
    assert list_cameras(machine).splitlines() == [
        "cameras on this machine:",
        "  --camera 0   Webcam (/dev/video0, uvcvideo, usb-0)",
        "               also after it was plugged in elsewhere: --camera /dev/v4l/by-id/usb-x",
        "               MJPG 1280x720@30",
        "  --camera 12  Grabber (/dev/video12, cx231xx, usb-12)",
        "               MJPG 1280x720@30",
        "others: --camera rtsp://host/path, --camera http://host/stream.mjpg, and without a camera "
        "--camera test://",
    ]


def test_sensors_of_a_jetson_are_numbered_by_themselves(machine: FakeMachine) -> None:
    machine.add_camera(0, "Webcam")
    machine.add_camera(1, "imx219 9-0010", driver="tegra-video")
    machine.add_camera(2, "imx219 10-0010", driver="tegra-video")
    text = list_cameras(machine)
    assert "--camera 0 " in text
    assert "--camera csi://0  imx219 9-0010 (/dev/video1" in text
    assert "--camera csi://1  imx219 10-0010 (/dev/video2" in text


def test_a_sensor_that_the_device_tree_names_and_nobody_found_is_said(machine: FakeMachine) -> None:
    machine.add("/proc/device-tree/tegra-camera-platform/modules/module0/badge", "imx219_front\0")
    assert "names CSI cameras (imx219_front), and none has answered" in list_cameras(machine)
    machine.add_camera(0, "imx219", driver="tegra-video")
    assert "none has answered" not in list_cameras(machine)


def test_missing_rights_are_said_with_their_remedy(machine: FakeMachine) -> None:
    machine.add_camera(0, "Webcam")
    machine.closed.add("/dev/video0")
    text = list_cameras(machine)
    assert "cannot be used: this user may not open it" in text
    assert "sudo usermod --append --groups video $USER" in text


def test_a_missing_v4l2_ctl_is_said(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path)
    machine.add_camera(0, "Webcam")
    assert "sudo apt install v4l-utils" in list_cameras(machine)


def test_without_a_camera_the_reason_is_said(machine: FakeMachine) -> None:
    first, *rest = list_cameras(machine).splitlines()
    assert first.startswith("no camera: no /dev/video*; connect one")
    assert len(rest) == 1
    machine.add("/.dockerenv")
    assert "start it with --device /dev/video0" in list_cameras(machine)
    machine.add_camera(0, "Metadata", caps=0x00800000)
    assert "no camera: the /dev/video* that are here deliver no pictures" in list_cameras(machine)


def test_this_machine_can_be_listed() -> None:
    assert "--camera test://" in list_cameras()
