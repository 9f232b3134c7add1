"""The cameras of this machine and how to use each: ``--list-cameras``."""

from __future__ import annotations

from runtime.machine import Machine
from runtime.v4l2_devices import V4l2Device, find_devices

SENSOR_MODULES = "/proc/device-tree/tegra-camera-platform/modules/*/badge"
ELSEWHERE = (
    "others: --camera rtsp://host/path, --camera http://host/stream.mjpg, and without a camera "
    "--camera test://"
)
JOIN_GROUP = "sudo usermod --append --groups video $USER, then log in again"


def list_cameras(machine: Machine | None = None) -> str:
    """Return a table of the cameras, and how to use each; why there is none, where there is none.

    Args:
        machine: Whose cameras; this one's if left out.
    """
    machine = machine or Machine()
    devices = find_devices(machine)
    rows = _rows(devices)
    lines = ["cameras on this machine:"] if rows else [f"no camera: {why_no_camera(machine)}"]
    width = max((len(use) for use, _ in rows), default=0)
    for use, facts in rows:
        lines += [f"  {use:<{width}}  {facts[0]}"]
        lines += [" " * (width + 4) + fact for fact in facts[1:]]
    lines += [f"note: {hint}" for hint in camera_hints(machine, devices)]
    return "\n".join([*lines, ELSEWHERE])


def why_no_camera(machine: Machine) -> str:
    """Say why no device delivers pictures, and what to do."""
    if machine.find("/dev/video*"):
        return "the /dev/video* that are here deliver no pictures; connect one"
    if machine.is_container:
        return (
            "no /dev/video* in this container; start it with --device /dev/video0 (docker, podman)"
        )
    return "no /dev/video*; connect one, and see what the kernel says of it: sudo dmesg | tail"


def camera_hints(machine: Machine, devices: list[V4l2Device]) -> list[str]:
    """Return what would make more cameras usable, or more of them known."""
    hints = []
    if any(not machine.may_open(device.path) for device in devices):
        hints.append(f"this user may not open some cameras: {JOIN_GROUP}")
    if any(not device.modes and not device.problem for device in devices):
        hints.append("sizes and rates are shown where v4l2-ctl is: sudo apt install v4l-utils")
    modules = [machine.read(path) for path in machine.find(SENSOR_MODULES)]
    if modules and not any(device.is_jetson_sensor for device in devices):
        hints.append(
            f"the device tree names CSI cameras ({', '.join(modules)}), and none has answered: "
            "check the cable, and choose the camera: sudo /opt/nvidia/jetson-io/jetson-io.py"
        )
    return hints


def _rows(devices: list[V4l2Device]) -> list[tuple[str, list[str]]]:
    """Return for each camera the option that uses it, and lines about it."""
    rows = []
    sensors = 0
    for device in devices:
        if device.is_jetson_sensor:
            use = f"--camera csi://{sensors}"
            sensors += 1
        else:
            use = f"--camera {device.path.removeprefix('/dev/video')}"
        where = ", ".join(part for part in (device.path, device.driver, device.bus) if part)
        facts = [f"{device.name} ({where})"]
        if device.problem:
            facts.append(f"cannot be used: {device.problem}")
        if device.stable_path:
            facts.append(f"also after it was plugged in elsewhere: --camera {device.stable_path}")
        rows.append((use, [*facts, *device.modes]))
    return rows
