"""V4L2 devices of a planted machine."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from runtime.machine import Answer
from runtime.v4l2_devices import V4l2Device, find_devices, modes_from
from tests.fakes.machine import FakeMachine

METADATA, CODEC, SEVERAL_PLANES = 0x00800000, 0x00008000, 0x00001000
# As v4l2-ctl 1.22 prints it.
LISTING = """ioctl: VIDIOC_ENUM_FMT
	Type: Video Capture

	[0]: 'MJPG' (Motion-JPEG, compressed)
		Size: Discrete 640x480
			Interval: Discrete 0.017s (60.000 fps)
			Interval: Discrete 0.033s (30.000 fps)
		Size: Discrete 1920x1080
			Interval: Discrete 0.033s (30.000 fps)
	[1]: 'Y16 ' (16-bit Greyscale)
		Size: Discrete 160x120
"""


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def test_a_camera_is_described(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path, {"v4l2-ctl --device /dev/video0 --list-formats-ext": LISTING})
    machine.add_camera(0, "Webcam")
    machine.path("/dev/v4l/by-id").mkdir(parents=True)
    machine.path("/dev/v4l/by-id/usb-x-index0").symlink_to("../../video0")
    assert find_devices(machine) == [
        V4l2Device(
            "/dev/video0",
            "Webcam",
            "uvcvideo",
            "usb-0",
            "/dev/v4l/by-id/usb-x-index0",
            ("MJPG 1920x1080@30 640x480@60", "Y16 160x120"),
        )
    ]


def test_only_nodes_that_deliver_pictures_are_listed_by_number(machine: FakeMachine) -> None:
    machine.add_camera(10, "Ten")
    machine.add_camera(9, "Planes", caps=SEVERAL_PLANES)
    machine.add_camera(8, "Metadata", caps=METADATA)
    machine.add_camera(7, "Codec", caps=CODEC)
    machine.add("/dev/video-dec")
    assert [device.name for device in find_devices(machine)] == ["Planes", "Ten"]


def test_an_old_driver_without_abilities_by_node_is_listed(machine: FakeMachine) -> None:
    machine.add_camera(0, "Old")
    data = struct.pack("=16s32s32sIII12x", b"d", b"Old", b"b", 0, 1, 0)
    machine.answers["/dev/video0"] = data
    assert [device.name for device in find_devices(machine)] == ["Old"]


def test_a_camera_without_rights_is_listed_once_with_its_problem(machine: FakeMachine) -> None:
    machine.add_camera(0, "Webcam")
    machine.add_camera(1, "Webcam", caps=METADATA)
    machine.add("/sys/class/video4linux/video0/index", "0")
    machine.add("/sys/class/video4linux/video1/index", "1")
    machine.path("/sys/class/video4linux/video0/device").mkdir()
    driver = machine.path("/sys/bus/usb/drivers/uvcvideo")
    driver.mkdir(parents=True)
    machine.path("/sys/class/video4linux/video0/device/driver").symlink_to(driver)
    machine.closed |= {"/dev/video0", "/dev/video1"}
    (device,) = find_devices(machine)
    assert (device.path, device.name, device.driver) == ("/dev/video0", "Webcam", "uvcvideo")
    assert device.problem == "this user may not open it"


def test_a_node_that_does_not_answer_is_listed_with_its_problem(machine: FakeMachine) -> None:
    machine.add("/dev/video0")
    (device,) = find_devices(machine)
    assert device == V4l2Device(
        "/dev/video0", "/dev/video0", problem="it does not answer as a V4L2 device"
    )


def test_without_devices_there_is_none(machine: FakeMachine) -> None:
    assert find_devices(machine) == []


def test_a_jetson_sensor_is_recognised(machine: FakeMachine) -> None:
    machine.add_camera(0, "imx219", driver="tegra-video")
    machine.add_camera(1, "Webcam")
    assert [device.is_jetson_sensor for device in find_devices(machine)] == [True, False]


def test_a_missing_v4l2_ctl_leaves_the_modes_unknown(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path, {"v4l2-ctl": Answer(False, "No such file or directory")})
    machine.add_camera(0, "Webcam")
    assert find_devices(machine)[0].modes == ()


def test_sizes_in_steps_and_many_sizes_are_shortened() -> None:
    steps = "[0]: 'RG10' (10-bit Bayer)\n\tSize: Stepwise 32x32 - 4096x3072 with step 1/1\n"
    assert modes_from(steps) == ("RG10 32x32 - 4096x3072",)
    many = "[0]: 'YUYV' (YUYV 4:2:2)\n"
    many += "".join(f"Size: Discrete {n}0x{n}0\nInterval: (5.000 fps)\n" for n in range(1, 9))
    (line,) = modes_from(many)
    assert line.startswith("YUYV 80x80@5 70x70@5")
    assert line.endswith("30x30@5 and 2 smaller")


def test_a_continuous_rate_counts_with_its_highest() -> None:
    listing = "[0]: 'YUYV' (x)\n Size: Discrete 8x8\n Interval: Continuous (1.000-30.000 fps)\n"
    assert modes_from(listing) == ("YUYV 8x8@30",)


@pytest.mark.parametrize("text", ["", "Cannot open device", "Interval: (30 fps)", "Size: Discrete"])
def test_nonsense_has_no_modes(text: str) -> None:
    assert modes_from(text) == ()
