"""Network cameras and a Jetson's CSI cameras through GStreamer, with the hardware that decodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

from runtime.credentials import NetworkAddress
from runtime.errors import SourceError
from runtime.frames import Frame
from runtime.gstreamer import LIBRARY_PACKAGES, find_elements, require_elements
from runtime.gstreamer_process import (
    GStreamerFailure,
    GStreamerProcess,
    PictureTimeout,
    PipelineRequest,
    RawFrame,
)
from runtime.options_sources import SourceOptions
from runtime.preprocess import bgr8_from_image
from runtime.sources import DEFAULT_FRAME_RATE, Source, stall_message

# A decoder starts at a key frame, and many cameras send one in ten seconds only.
FIRST_PICTURE_S = 12.0
# A full sink drops the older picture: a slow reader sees the newest, and the camera never waits.
FRAMES_SINK = "appsink name=frames sync=false max-buffers=1 drop=true"
# What the decoder itself calls damaged: after a lost packet, and before the first key frame, when
# it would deliver grey pictures with a little of the real one.
DROP_DAMAGED = "identity silent=true drop-buffer-flags=corrupted"
RTSP_ELEMENTS = ("rtspsrc", "rtph264depay", "h264parse", "decodebin", "videoconvert", "appsink")
CSI_ELEMENTS = ("nvarguscamerasrc", "nvvidconv", "appsink")
HARDWARE_DECODERS = (
    *("nvv4l2decoder", "nvh264dec", "nvh264sldec", "nvh265dec", "nvh265sldec"),
    *("vah264dec", "vah265dec", "vaapih264dec", "vaapih265dec", "qsvh264dec", "qsvh265dec"),
    *("v4l2h264dec", "v4l2h265dec", "v4l2slh264dec", "v4l2slh265dec"),
)
SOFTWARE_DECODERS = ("avdec_h264", "avdec_h265", "openh264dec")
JETSON_CONVERTER = "nvvidconv"

# From gsterror.h: what a user can do something about.
_RESOURCE = "gst-resource-error-quark"
_STREAM = "gst-stream-error-quark"
_NETWORK_ADVICE = {
    (_RESOURCE, 3): "check the path of the address",
    (_RESOURCE, 5): "check that the camera is on and the address and network are right",
    (_RESOURCE, 7): "check that the camera is on and the address and network are right",
    (_RESOURCE, 9): "check the network and that the camera is on",
    (_RESOURCE, 15): "check user and password in the address",
    (_STREAM, 6): "install decoders: sudo apt install gstreamer1.0-libav gstreamer1.0-plugins-bad",
    ("library", 0): f"install GStreamer: sudo apt install {LIBRARY_PACKAGES}",
}


class GStreamerSource:
    """A live camera that a GStreamer process decodes. Waits for the first picture.

    Args:
        name: For messages and records.
        request: The pipeline.
        stall_timeout_s: Longest silence that is not yet an error.
        explain: Makes the message of a failure, without secrets.

    Attributes:
        decoder: What decodes, such as "GStreamer hardware (nvv4l2decoder)".

    Raises:
        SourceError: If the pipeline fails or delivers no picture.
    """

    is_live = True

    def __init__(
        self,
        name: str,
        request: PipelineRequest,
        stall_timeout_s: float,
        explain: Callable[[GStreamerFailure], str],
    ) -> None:
        self.name = name
        self.stall_timeout_s: float | None = stall_timeout_s
        self._patience_s = stall_timeout_s
        self._explain = explain
        self._sequence = 0
        self._process = GStreamerProcess(request)
        try:
            self._first: RawFrame | None = self._receive(max(FIRST_PICTURE_S, stall_timeout_s))
        except BaseException:
            self._process.close()
            raise
        self.frame_rate = _frame_rate(self._first)
        self.decoder = describe_decoder(self._process.decoder)

    def read(self) -> Frame:
        """Wait for the next picture; its time is when it was decoded."""
        received, self._first = self._first, None
        if received is None:
            received = self._receive(self._patience_s)
        image = bgr8_from_image(received.pixels, self.name)
        frame = Frame(image, self.name, self._sequence, received.header.captured_ns)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _receive(self, timeout_s: float) -> RawFrame:
        started = time.monotonic()
        try:
            return self._process.read_frame(timeout_s)
        except PictureTimeout:
            waited_s = round(time.monotonic() - started, 1)
            raise SourceError(stall_message(self.name, waited_s, self._sequence)) from None
        except GStreamerFailure as failure:
            raise SourceError(self._explain(failure)) from None


def can_open_rtsp() -> bool:
    """Say whether this machine's GStreamer can play RTSP."""
    found = find_elements((*RTSP_ELEMENTS, *HARDWARE_DECODERS, *SOFTWARE_DECODERS))
    return found.issuperset(RTSP_ELEMENTS) and len(found) > len(RTSP_ELEMENTS)


def open_rtsp_gstreamer(camera: NetworkAddress, name: str, options: SourceOptions) -> Source:
    """Connect to an RTSP camera; H.264, H.265 and whatever else GStreamer can decode.

    Args:
        camera: Its address.
        name: For messages and records.
        options: Latency and stall timeout.

    Raises:
        SourceError: If the camera cannot be reached, refuses, or sends no picture.
    """
    require_elements(name, RTSP_ELEMENTS)
    properties = {"location": camera.location}
    if camera.user is not None:
        properties |= {"user-id": camera.user, "user-pw": camera.password or ""}
    converter = JETSON_CONVERTER if find_elements((JETSON_CONVERTER,)) else "videoconvert"
    request = PipelineRequest(rtsp_pipeline(options, converter), {"camera": properties})
    return GStreamerSource(
        name, request, options.stall_timeout, lambda failure: _explain_rtsp(name, camera, failure)
    )


def open_csi(sensor: int, name: str, options: SourceOptions) -> Source:
    """Open a camera on a Jetson's CSI connector.

    Args:
        sensor: Its number, from 0.
        name: For messages and records.
        options: Size, frame rate and stall timeout.

    Raises:
        SourceError: If this is no Jetson, or there is no such camera.
    """
    require_elements(name, CSI_ELEMENTS)
    request = PipelineRequest(csi_pipeline(sensor, options))

    def explain(failure: GStreamerFailure) -> str:
        return (
            f"{name} failed: {_in_one_line(failure)}; expected a camera on CSI sensor {sensor} "
            "free of other programs; check its cable, and: sudo systemctl restart nvargus-daemon"
        )

    return GStreamerSource(name, request, options.stall_timeout, explain)


def rtsp_pipeline(options: SourceOptions, converter: str) -> str:
    """Describe how an RTSP camera is received over TCP and decoded.

    ``decodebin`` takes the best decoder that is there, by GStreamer's ranks: hardware first. The
    environment variable ``GST_PLUGIN_FEATURE_RANK`` changes them. Packets that come late are not
    dropped (``drop-on-latency``): over TCP they come all the same, and pictures after a gap are
    damaged until the next key frame. Pictures are dropped at the end, where it does no harm.
    """
    timeout_us = round(options.stall_timeout * 1e6)
    return (
        f"rtspsrc name=camera protocols=tcp latency={options.latency_ms} "
        f"tcp-timeout={timeout_us} ! application/x-rtp,media=video ! decodebin ! "
        f"{DROP_DAMAGED} ! {_raw_pictures(converter)}"
    )


def csi_pipeline(sensor: int, options: SourceOptions) -> str:
    """Describe how a CSI camera is read; the image processor converts, not the CPU."""
    wanted = ""
    if options.camera_size is not None:
        height, width = options.camera_size
        wanted += f",width={width},height={height}"
    if options.camera_fps is not None:
        rate = Fraction(options.camera_fps).limit_denominator(1001)
        wanted += f",framerate={rate.numerator}/{rate.denominator}"
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),format=NV12{wanted} ! "
        f"{_raw_pictures(JETSON_CONVERTER)}"
    )


def describe_decoder(element: str) -> str:
    """Say what decodes, for messages."""
    if not element:
        return "GStreamer (uncompressed)"
    kind = "hardware" if element in HARDWARE_DECODERS else "software"
    return f"GStreamer {kind} ({element})"


def _raw_pictures(converter: str) -> str:
    """Describe the end of every pipeline; a Jetson's converter has no BGR but four channels."""
    pixels = "BGRx" if converter == JETSON_CONVERTER else "BGR"
    return f"{converter} ! video/x-raw,format={pixels} ! {FRAMES_SINK}"


def _explain_rtsp(name: str, camera: NetworkAddress, failure: GStreamerFailure) -> str:
    advice = _NETWORK_ADVICE.get(
        (failure.domain, failure.code), "check the camera and its address, or restart it"
    )
    said = camera.scrub(_in_one_line(failure))
    return f"{name} failed: {said}; expected an RTSP stream; {advice}"


def _in_one_line(failure: GStreamerFailure) -> str:
    message = failure.message.rstrip(".")
    if failure.detail and failure.detail != message:
        message += f" ({failure.detail.rstrip('.')})"
    return " ".join(message.split())


def _frame_rate(frame: RawFrame) -> float:
    """Return the stated rate, or a usual one where none or nonsense is stated."""
    rate = frame.header.rate_numerator / frame.header.rate_denominator
    return rate if 0.1 <= rate <= 1000.0 else DEFAULT_FRAME_RATE
