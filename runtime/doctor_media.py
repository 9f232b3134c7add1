"""The doctor's checks of what pictures come from and results go to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runtime.camera_list import JOIN_GROUP, why_no_camera
from runtime.findings import Ability, Finding, Verdict, missing, note, ok
from runtime.machine import Machine
from runtime.v4l2_devices import find_devices

DESCRIBE_OPENCV = "import cv2; print(cv2.__version__); print(cv2.getBuildInformation())"


@dataclass(frozen=True)
class Library:
    """An optional Python library.

    Attributes:
        module: What is imported.
        needed_for: The features that need it.
        install: What to type when it is missing.
    """

    module: str
    needed_for: str
    install: str


INSTALL_TRACKING = "pip install -e '.[track]' && pip install --no-deps 'trackers>=2.6,<3'"
LIBRARIES = (
    Library("paho", "MQTT", "pip install -e '.[mqtt]'"),
    Library("prometheus_client", "metrics", "pip install -e '.[metrics]'"),
    Library("starlette", "the web view", "pip install -e '.[web]'"),
    Library("uvicorn", "the web view", "pip install -e '.[web]'"),
    Library("pynvml", "power and clocks of a GPU", "pip install -e '.[profile]'"),
    Library("supervision", "tracking and counting", INSTALL_TRACKING),
    Library("trackers", "tracking and counting", INSTALL_TRACKING),
)


def check_opencv(machine: Machine) -> list[Finding]:
    """Say what this Python's OpenCV can do."""
    described = machine.run_python(DESCRIBE_OPENCV)
    if not described.succeeded:
        remedy = "pip install -e '.[opencv]'; on a Jetson: sudo apt install python3-opencv"
        if "libGL" in described.text:
            remedy = "sudo apt install libgl1, or pip install opencv-python-headless instead"
        return [missing(f"OpenCV does not load ({described.text})", "everything", remedy)]
    version, _, build = described.text.partition("\n")
    findings = [ok(f"OpenCV {version}", Ability.PICTURES)]
    wheel = "pip install -e '.[opencv]'"
    if not _has(build, "v4l/v4l2"):
        findings.append(missing("OpenCV without V4L2", "USB cameras", wheel))
    if not _has(build, "FFMPEG"):
        findings.append(missing("OpenCV without FFmpeg", "video files, --save", wheel))
    if re.search(r"GUI:\s+NONE", build):
        remedy = "pip uninstall opencv-python-headless; pip install -e '.[window]'"
        findings.append(note("OpenCV without windows", "--show", remedy))
    return findings


def check_gstreamer(machine: Machine) -> list[Finding]:
    """Say what GStreamer can do here, feature by feature."""
    from runtime.camera_gstreamer import (
        CSI_ELEMENTS,
        HARDWARE_DECODERS,
        RTSP_ELEMENTS,
        SOFTWARE_DECODERS,
    )
    from runtime.video_encoder_gstreamer import ELEMENTS, NEEDED_ELEMENTS

    encoders = tuple(element.name for element in ELEMENTS)
    asked = (*RTSP_ELEMENTS, *CSI_ELEMENTS, *HARDWARE_DECODERS, *SOFTWARE_DECODERS)
    found = machine.elements((*asked, *NEEDED_ELEMENTS, *encoders))
    # A note, since OpenCV's FFmpeg takes its place.
    rtsp = _elements_finding("RTSP cameras", RTSP_ELEMENTS, found)
    findings = [replace(rtsp, verdict=Verdict.NOTE) if rtsp.verdict is Verdict.MISSING else rtsp]
    findings.append(_decoders_finding([n for n in HARDWARE_DECODERS if n in found], "hardware"))
    findings.append(_decoders_finding([n for n in SOFTWARE_DECODERS if n in found], "software"))
    usable = encoders if found.issuperset(NEEDED_ELEMENTS) else ()
    findings.append(_encoders_finding(machine, [name for name in usable if name in found]))
    if machine.exists("/etc/nv_tegra_release"):
        findings.append(_elements_finding("CSI cameras", CSI_ELEMENTS, found))
    return findings


def check_libraries(machine: Machine) -> list[Finding]:
    """Say which optional Python libraries are installed."""
    findings = []
    for library in LIBRARIES:
        if machine.has_module(library.module):
            findings.append(ok(f"{library.module}: {library.needed_for}"))
        else:
            text = f"{library.module} is not installed"
            findings.append(note(text, library.needed_for, library.install))
    return findings


def check_cameras(machine: Machine) -> list[Finding]:
    """Say which cameras are there and whether this user may open them."""
    devices = find_devices(machine)
    if not devices:
        return [note(f"no camera: {why_no_camera(machine)}", "--camera 0")]
    findings = []
    for device in devices:
        text = f"{device.path}: {device.name}"
        if not device.problem:
            findings.append(ok(text))
        else:
            remedy = "" if machine.may_open(device.path) else JOIN_GROUP
            findings.append(missing(f"{text}, {device.problem}", "this camera", remedy))
    return findings


def _has(build: str, name: str) -> bool:
    """Say whether OpenCV's description of itself has a line such as ``FFMPEG: YES``."""
    return re.search(rf"^\s*{re.escape(name)}:\s+YES", build, re.MULTILINE) is not None


def _elements_finding(feature: str, needed: Sequence[str], found: frozenset[str]) -> Finding:
    from runtime.gstreamer import packages_of

    absent = [name for name in needed if name not in found]
    if not absent:
        return ok(f"GStreamer for {feature}")
    text = f"GStreamer without {', '.join(absent)}"
    return missing(text, feature, f"sudo apt install {packages_of(absent)}")


def _decoders_finding(decoders: Sequence[str], kind: str) -> Finding:
    if decoders:
        return ok(f"decoders in {kind}: {', '.join(decoders)}")
    if kind == "hardware":
        return note("no decoder in hardware", "less load of the processor by RTSP cameras")
    remedy = "sudo apt install gstreamer1.0-libav"
    return note("no decoder in software", "RTSP cameras without a decoder in hardware", remedy)


def _encoders_finding(machine: Machine, encoders: Sequence[str]) -> Finding:
    if not machine.run("gst-launch-1.0", "--version").succeeded:
        remedy = "sudo apt install gstreamer1.0-tools"
        return note("no gst-launch-1.0", "H.264 in --save; else MPEG-4 by OpenCV", remedy)
    if encoders:
        return ok(f"H.264 encoders: {', '.join(encoders)}")
    packages = ("base", "good", "bad", "ugly")
    remedy = f"sudo apt install {' '.join(f'gstreamer1.0-plugins-{name}' for name in packages)}"
    return note("no H.264 encoder", "H.264 in --save; else MPEG-4 by OpenCV", remedy)
