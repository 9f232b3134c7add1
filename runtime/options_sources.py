"""Which cameras and files to read, and how."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from runtime.command_line import count
from runtime.option_types import add_group, number_from, size_hw

STALL_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class SourceOptions:
    """What to read.

    Attributes:
        camera: Addresses of cameras, each with an optional name before it: ``gate=rtsp://...``.
        video: Video files.
        images: Folders, patterns or single images.
        camera_size: Height and width to ask cameras for; None for what they give.
        camera_fps: Frame rate to ask cameras for.
        pixel_format: Four letters, such as MJPG, to ask V4L2 cameras for.
        latency_ms: How long a network camera's packets may wait for those that come late.
        stall_timeout: Longest silence of a camera in seconds before it is opened again.
        wait_for_cameras: Whether a camera that does not open at the start is tried again.
        give_up_after: A camera that is away for so many seconds ends the stream; None for never.
    """

    camera: list[str]
    video: list[Path]
    images: list[str]
    camera_size: tuple[int, int] | None
    camera_fps: float | None
    pixel_format: str | None
    latency_ms: int
    stall_timeout: float
    wait_for_cameras: bool
    give_up_after: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "sources").add_argument
    add(
        "--camera",
        metavar="[NAME=]ADDRESS",
        action="append",
        default=[],
        help="0, /dev/video2, csi://0, rtsp://host/path, http://host/stream.mjpg or test://; "
        "repeat for several cameras",
    )
    add(
        "--video",
        metavar="FILE",
        action="append",
        type=Path,
        default=[],
        help="a video file; repeat for several",
    )
    add(
        "--images",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder, or a pattern such as 'a/*.png'",
    )
    add("--camera-size", metavar="WxH", type=size_hw, help="ask cameras for this size")
    add("--camera-fps", metavar="N", type=number_from(0.1, 1000), help="and this frame rate")
    add(
        "--pixel-format",
        metavar="FOURCC",
        type=_fourcc,
        help="and, of V4L2 cameras, this format: MJPG, YUYV",
    )
    add(
        "--latency-ms",
        metavar="N",
        type=count,
        default=100,
        help="how long a network camera's packets may wait for late ones; default 100",
    )
    add(
        "--stall-timeout",
        metavar="S",
        type=number_from(0.1),
        default=STALL_TIMEOUT_S,
        help=f"a camera silent for S seconds is opened again; default {STALL_TIMEOUT_S:g}",
    )
    add(
        "--wait-for-cameras",
        action="store_true",
        help="try again when a camera does not open at the start, instead of ending",
    )
    add(
        "--give-up-after",
        metavar="S",
        type=number_from(0.0),
        help="end when a camera was away for S seconds; default: never",
    )


def _fourcc(text: str) -> str:
    """Return the letters of a pixel format; a ``type`` for the parser."""
    if not (text.isascii() and text.isalnum() and len(text) in (3, 4)):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected four letters, such as MJPG")
    return text.upper()
