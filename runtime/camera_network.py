"""Network cameras: picks what receives and decodes them on this machine."""

from __future__ import annotations

from runtime.camera_ffmpeg import FfmpegSource
from runtime.camera_gstreamer import can_open_rtsp, open_rtsp_gstreamer
from runtime.camera_mjpeg import MjpegSource
from runtime.credentials import parse_address
from runtime.options_sources import SourceOptions
from runtime.sources import Source


def open_rtsp(address: str, name: str, options: SourceOptions) -> Source:
    """Connect to an RTSP camera: by GStreamer if it is installed, else by OpenCV's FFmpeg.

    Args:
        address: rtsp or rtsps, with user and password, if any; ``${NAME}`` stands for that
            environment variable.
        name: For messages and records.
        options: Latency (GStreamer only) and stall timeout.

    Returns:
        The connected source; its ``decoder`` says what decodes.

    Raises:
        SourceError: If the camera cannot be reached, refuses, or sends no picture.
        UsageError: If the address is malformed or names a variable that is not set.
    """
    camera = parse_address(address)
    if can_open_rtsp():
        return open_rtsp_gstreamer(camera, name, options)
    return FfmpegSource(name, camera, options.stall_timeout)


def open_mjpeg(address: str, name: str, options: SourceOptions) -> Source:
    """Connect to a camera that sends MJPEG over HTTP.

    Args:
        address: http or https, otherwise as for ``open_rtsp``.
        name: For messages and records.
        options: The stall timeout.

    Returns:
        The connected source; its ``decoder`` says what decodes.

    Raises:
        SourceError: If the camera cannot be reached, refuses, or sends something else.
        UsageError: If the address is malformed or names a variable that is not set.
    """
    return MjpegSource(name, parse_address(address), options.stall_timeout)
