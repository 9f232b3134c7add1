"""What a user may write after ``--camera``, and the name that each camera goes by."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from runtime.camera_test_pattern import parse_test_address
from runtime.camera_v4l2 import device_path
from runtime.credentials import parse_address
from runtime.errors import UsageError

# No name may hold what begins an address or a query: rtsp://host/?channel=1 has none.
NAMED = re.compile(r"(?P<name>[^:/?=]*)=(?P<address>.*)", re.DOTALL)
NAME = re.compile(r"[\w. -]{1,64}")
EXPECTED = "0, /dev/video2, csi://0, rtsp://host/path, http://host/stream.mjpg or test://"


class CameraKind(enum.Enum):
    """How a camera is reached."""

    V4L2 = "v4l2"
    CSI = "csi"
    RTSP = "rtsp"
    MJPEG = "mjpeg"
    TEST_PATTERN = "test pattern"


KIND_BY_SCHEME = {
    "csi": CameraKind.CSI,
    "rtsp": CameraKind.RTSP,
    "rtsps": CameraKind.RTSP,
    "http": CameraKind.MJPEG,
    "https": CameraKind.MJPEG,
    "test": CameraKind.TEST_PATTERN,
}


@dataclass(frozen=True)
class CameraAddress:
    """A camera that was asked for.

    Attributes:
        name: For messages and records; holds no password.
        kind: How it is reached.
        target: Where: an index or path, a sensor's number, or a URL, which may hold a password and
            names of environment variables as ``${NAME}``.
    """

    name: str
    kind: CameraKind
    target: str

    def __repr__(self) -> str:
        return f"CameraAddress({self.name!r}, {self.kind})"  # without the target's password


def parse_cameras(texts: Sequence[str]) -> list[CameraAddress]:
    """Read all values of ``--camera``; the names are unique.

    Raises:
        UsageError: If one is malformed, two have the same name, or a device is named twice.
    """
    cameras = [parse_camera(text) for text in texts]
    given = [camera.name for camera in cameras if camera.name]
    if repeated := next((name for name in given if given.count(name) > 1), None):
        raise UsageError(
            f"--camera got the name {repeated!r} twice; expected a name for one camera each"
        )
    devices: set[str] = set()
    for camera in cameras:
        device = _device_of(camera)
        if device in devices:
            raise UsageError(
                f"--camera got {device} twice; expected each device once, since only one reader "
                "can have it"
            )
        devices |= {device} if device else set()
    names = unique_names([(camera.name, default_name(camera)) for camera in cameras])
    return [replace(camera, name=name) for camera, name in zip(cameras, names, strict=True)]


def parse_camera(text: str) -> CameraAddress:
    """Read ``[NAME=]ADDRESS``; the name is empty where none is given.

    Raises:
        UsageError: If it is malformed; the message holds no password.
    """
    name, address = "", text.strip()
    if match := NAMED.fullmatch(address):
        name, address = match["name"].strip(), match["address"].strip()
        if NAME.fullmatch(name) is None:
            raise UsageError(
                f"--camera got the name {name!r}; expected letters, digits, spaces and _.- before "
                "the =, such as gate=rtsp://host/path"
            )
    if address.isdecimal() or address.startswith("/dev/"):
        return CameraAddress(name, CameraKind.V4L2, address)
    scheme, separator, rest = address.partition("://")
    kind = KIND_BY_SCHEME.get(scheme.lower()) if separator else None
    if kind is None:
        shown = f"an address that begins with {scheme}://" if separator else repr(address)
        if "@" in shown:  # may be a URL with a typing mistake, and hold a password
            shown = "an address of no known kind"
        hint = "; a file is read with --video" if "." in address and not separator else ""
        raise UsageError(f"--camera got {shown}; expected {EXPECTED}{hint}")
    if kind is CameraKind.CSI:
        return CameraAddress(name, kind, _sensor_from(rest))
    if kind is CameraKind.TEST_PATTERN:
        parse_test_address(address)
    else:
        _check_url(scheme, address)
    return CameraAddress(name, kind, address)


def default_name(camera: CameraAddress) -> str:
    """Return the name of a camera that was given none: what it is, without anything secret.

    User and password are left out, and the query and path segments with a ``=``, in which some
    cameras expect a password.
    """
    if camera.kind is CameraKind.V4L2:
        return f"camera {camera.target}"
    if camera.kind is CameraKind.CSI:
        return f"csi://{camera.target}"
    if camera.kind is CameraKind.TEST_PATTERN:
        return "test pattern"
    url = urlsplit(camera.target)
    host = url.netloc.rpartition("@")[2]
    path = "/".join(part for part in url.path.split("/") if "=" not in part).rstrip("/")
    return f"{url.scheme}://{host}{path}"


def unique_names(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Return a name for each, with a number added to a repeated default: "clip.mp4 (2)".

    Args:
        wanted: For each the name that is fixed, or an empty one, and its default.
    """
    taken = {fixed for fixed, _ in wanted if fixed}
    names = []
    for fixed, default in wanted:
        name, number = fixed or default, 1
        while not fixed and name in taken:
            number += 1
            name = f"{default} ({number})"
        taken.add(name)
        names.append(name)
    return names


def _device_of(camera: CameraAddress) -> str:
    """Return what only one reader can have; empty for what many can."""
    if camera.kind is CameraKind.V4L2:
        return device_path(camera.target)
    return f"csi://{camera.target}" if camera.kind is CameraKind.CSI else ""


def _sensor_from(text: str) -> str:
    sensor = text or "0"
    if not (sensor.isascii() and sensor.isdecimal()):
        raise UsageError(f"--camera got csi://{text}; expected a sensor's number, such as csi://0")
    return str(int(sensor))


def _check_url(scheme: str, address: str) -> None:
    """Refuse a URL without a host, with a port that is none, or with an unknown variable."""
    if any(character.isspace() or not character.isprintable() for character in address):
        # Not shown: where a password with a space in it ends, nobody can tell.
        raise UsageError(
            f"--camera got a {scheme}:// address with a space or control character; expected "
            f"{scheme}://[user:password@]host[:port]/path; write a space as %20"
        )
    try:
        parse_address(address)
    except UsageError as error:
        raise UsageError(f"--camera {error}") from None
