"""Every kind of address, its name, and nonsense."""

from __future__ import annotations

import pytest

from runtime.camera_addresses import (
    CameraKind,
    default_name,
    parse_camera,
    parse_cameras,
    unique_names,
)
from runtime.errors import UsageError

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("0", CameraKind.V4L2, "0"),
        (" 0 ", CameraKind.V4L2, "0"),
        ("/dev/video2", CameraKind.V4L2, "/dev/video2"),
        ("/dev/v4l/by-id/usb-a=b-index0", CameraKind.V4L2, "/dev/v4l/by-id/usb-a=b-index0"),
        ("csi://1", CameraKind.CSI, "1"),
        ("csi://", CameraKind.CSI, "0"),
        ("rtsp://host/path?channel=1", CameraKind.RTSP, "rtsp://host/path?channel=1"),
        ("rtsps://host:8322/a", CameraKind.RTSP, "rtsps://host:8322/a"),
        ("RTSP://host/a", CameraKind.RTSP, "RTSP://host/a"),
        ("http://host:8080/?action=stream", CameraKind.MJPEG, "http://host:8080/?action=stream"),
        ("https://[::1]:8/a.mjpg", CameraKind.MJPEG, "https://[::1]:8/a.mjpg"),
        ("test://64x48@30", CameraKind.TEST_PATTERN, "test://64x48@30"),
    ],
)
def test_an_address_has_a_kind_and_a_target(text: str, kind: CameraKind, target: str) -> None:
    camera = parse_camera(text)
    assert (camera.name, camera.kind, camera.target) == ("", kind, target)


@pytest.mark.parametrize(
    ("text", "name", "target"),
    [
        ("gate=0", "gate", "0"),
        ("North gate = rtsp://h/p?a=b", "North gate", "rtsp://h/p?a=b"),
        ("tor_2.süd-1=test://", "tor_2.süd-1", "test://"),
    ],
)
def test_a_camera_may_be_named(text: str, name: str, target: str) -> None:
    camera = parse_camera(text)
    assert (camera.name, camera.target) == (name, target)
    assert parse_cameras([text])[0].name == name


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a,b", "a#", "x" * 65])
def test_a_name_that_sinks_cannot_take_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="expected letters, digits, spaces"):
        parse_camera(f"{name}=0")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("0", "camera 0"),
        ("/dev/video2", "camera /dev/video2"),
        ("csi://1", "csi://1"),
        ("test://64x48", "test pattern"),
        (f"rtsp://user:{SECRET}@host:554/path", "rtsp://host:554/path"),
        (f"rtsp://u:p%40{SECRET}@[fe80::1]/path/", "rtsp://[fe80::1]/path"),
        (f"http://host/video?user=a&pwd={SECRET}", "http://host/video"),
        (f"rtsp://host/user=a_password={SECRET}_channel=1/live", "rtsp://host/live"),
        (f"http://host/a#{SECRET}", "http://host/a"),
    ],
)
def test_a_default_name_holds_no_secret(text: str, name: str) -> None:
    camera = parse_camera(text)
    assert default_name(camera) == name
    assert SECRET not in repr(camera)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", r"got 'x'; expected 0, /dev/video2, csi://0, rtsp"),
        ("-1", "got '-1'"),
        ("", "got ''"),
        ("clip.mp4", "a file is read with --video"),
        (f"rstp://user:{SECRET}@host/", "an address that begins with rstp://"),
        (f"rtsp:/user:{SECRET}@host/", "an address of no known kind"),
        ("csi://x", "expected a sensor's number"),
        ("csi://-1", "expected a sensor's number"),
        (f"rtsp://user:{SECRET}@/path", "got the address '"),
        (f"rtsp://user:{SECRET}@host:port/", "got the address '"),
        (f"rtsp://user:{SECRET}@host:99999/", "got the address '"),
        (f"rtsp://user:{SECRET}@[::1/", "got the address '"),
        (f"rtsp://user:{SECRET} @host/", "with a space or control character"),
        (f"rtsp://host/{SECRET}\x00", "with a space or control character"),
        ("test://x", "expected test://"),
    ],
)
def test_nonsense_is_one_line_without_secrets(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        parse_camera(text)
    assert str(error.value).startswith("--camera ")  # a settings file's line is found by it
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_variable_is_checked_and_never_becomes_part_of_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "rtsp://admin:${PASSWORD}@host/${TOKEN}/live"
    monkeypatch.setenv("PASSWORD", SECRET)
    monkeypatch.delenv("TOKEN", raising=False)
    with pytest.raises(UsageError, match=r"^--camera .*'TOKEN', which is not set") as error:
        parse_camera(text)
    assert SECRET not in str(error.value)
    monkeypatch.setenv("TOKEN", SECRET)
    (camera,) = parse_cameras([text])
    assert (camera.name, camera.target) == ("rtsp://host/${TOKEN}/live", text)


def test_repeated_defaults_are_numbered() -> None:
    texts = ["rtsp://a:1@h/p", "rtsp://b:2@h/p", "rtsp://h/p?x", "test://", "test://"]
    assert [camera.name for camera in parse_cameras(texts)] == [
        "rtsp://h/p",
        "rtsp://h/p (2)",
        "rtsp://h/p (3)",
        "test pattern",
        "test pattern (2)",
    ]


def test_a_default_gives_way_to_a_chosen_name() -> None:
    cameras = parse_cameras(["0", "camera 0=1"])
    assert [camera.name for camera in cameras] == ["camera 0 (2)", "camera 0"]
    wanted = [("", "a"), ("", "a"), ("a (2)", "")]
    assert unique_names(wanted) == ["a", "a (3)", "a (2)"]


def test_a_chosen_name_is_for_one_camera() -> None:
    with pytest.raises(UsageError, match="got the name 'gate' twice"):
        parse_cameras(["gate=0", "gate=1"])


@pytest.mark.parametrize("texts", [["0", "/dev/video0"], ["0", "a=00"], ["csi://0", "csi://00"]])
def test_a_device_is_for_one_reader(texts: list[str]) -> None:
    with pytest.raises(UsageError, match=r"got (/dev/video0|csi://0) twice"):
        parse_cameras(texts)
