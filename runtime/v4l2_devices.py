"""What the V4L2 devices of a machine are, asked of the kernel without opening a stream."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from runtime.machine import Machine

# VIDIOC_QUERYCAP and struct v4l2_capability of <linux/videodev2.h>.
QUERY_CAPABILITIES = 0x80685600
CAPABILITIES = struct.Struct("=16s32s32sIII12x")
HAS_DEVICE_CAPS = 0x80000000
# Pictures in one or in several planes; codecs and metadata nodes have neither.
CAPTURES = 0x00000001 | 0x00001000
JETSON_DRIVER = "tegra-video"  # raw sensor data: only its image processor makes pictures of it
MOST_SIZES = 6


@dataclass(frozen=True)
class V4l2Device:
    """A node under /dev that delivers pictures, or may.

    Attributes:
        path: Such as "/dev/video0".
        name: As its driver gives it.
        driver: Such as "uvcvideo"; empty if unknown.
        bus: Where it is connected; empty if unknown.
        stable_path: A path under /dev/v4l/by-id that stays the camera's own; may be empty.
        modes: One line per pixel format with sizes and rates, as far as known.
        problem: Why it cannot be used; empty if nothing speaks against it.
    """

    path: str
    name: str
    driver: str = ""
    bus: str = ""
    stable_path: str = ""
    modes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_jetson_sensor(self) -> bool:
        """Whether it is a CSI sensor, to be used as csi://N."""
        return self.driver == JETSON_DRIVER


def find_devices(machine: Machine) -> list[V4l2Device]:
    """Return the devices that deliver pictures, in the order of their numbers."""
    paths = [path for path in machine.find("/dev/video*") if re.fullmatch(r"\D+\d+", path)]
    paths.sort(key=lambda path: int(path.removeprefix("/dev/video")))
    stable = _stable_paths(machine)
    devices = (_describe(machine, path, stable.get(path, "")) for path in paths)
    return [device for device in devices if device is not None]


def _describe(machine: Machine, path: str, stable_path: str) -> V4l2Device | None:
    """Return what a node is; None if it delivers no pictures."""
    entry = "/sys/class/video4linux/" + path.removeprefix("/dev/")
    name = machine.read(f"{entry}/name")
    driver = machine.path(f"{entry}/device/driver").resolve().name if name else ""
    driver = "" if driver == "driver" else driver
    if not machine.may_open(path):
        # The first node of a camera carries pictures, the second metadata.
        if machine.read(f"{entry}/index") not in ("", "0"):
            return None
        return V4l2Device(path, name or path, driver, problem="this user may not open it")
    data = query_capabilities(machine, path)
    if data is None:
        return V4l2Device(path, name or path, driver, problem="it does not answer as a V4L2 device")
    driver, card, bus, flags = data
    if not flags & CAPTURES:
        return None
    modes = modes_from(machine.run("v4l2-ctl", "--device", path, "--list-formats-ext").text)
    return V4l2Device(path, card or name, driver, bus, stable_path, modes)


def query_capabilities(machine: Machine, path: str) -> tuple[str, str, str, int] | None:
    """Ask a node for its driver, name, bus and abilities; None if it is no V4L2 device."""
    data = machine.query(path, QUERY_CAPABILITIES, CAPABILITIES.size)
    if data is None:
        return None
    *texts, _version, all_nodes, this_node = CAPABILITIES.unpack(data)
    driver, card, bus = (text.split(b"\0")[0].decode(errors="replace") for text in texts)
    return driver, card, bus, this_node if all_nodes & HAS_DEVICE_CAPS else all_nodes


def modes_from(listing: str) -> tuple[str, ...]:
    """Return one line per pixel format from what ``v4l2-ctl --list-formats-ext`` prints."""
    sizes: dict[str, dict[str, float]] = {}
    current: dict[str, float] = {}
    size = ""
    for line in listing.splitlines():
        if match := re.match(r"\s*\[\d+\]: '(.{4})'", line):
            current = sizes.setdefault(match[1].strip(), {})
        elif match := re.match(r"\s*Size: (?:Discrete|Stepwise|Continuous) (\S+(?: - \S+)?)", line):
            size = match[1]
            current.setdefault(size, 0.0)
        elif (match := re.search(r"\(([\d.]+)(?:-([\d.]+))? fps\)", line)) and size:
            rates = [float(rate) for rate in match.groups() if rate]
            current[size] = max(current.get(size, 0.0), *rates)
    return tuple(_mode_line(letters, found) for letters, found in sizes.items())


def _mode_line(letters: str, rates_by_size: dict[str, float]) -> str:
    """Write a format with its largest sizes, each with its highest rate."""

    def area(size: str) -> int:
        width, _, height = size.rpartition(" ")[2].partition("x")
        return int(width) * int(height) if width.isdecimal() and height.isdecimal() else 0

    largest = sorted(rates_by_size, key=area, reverse=True)
    shown = [
        size + (f"@{rates_by_size[size]:g}" if rates_by_size[size] else "")
        for size in largest[:MOST_SIZES]
    ]
    more = len(largest) - len(shown)
    return " ".join([letters, *shown, *([f"and {more} smaller"] if more else [])])


def _stable_paths(machine: Machine) -> dict[str, str]:
    """Return for each node its path by the camera's serial number."""
    links = machine.find("/dev/v4l/by-id/*")
    return {f"/dev/{machine.path(link).resolve().name}": link for link in links}
