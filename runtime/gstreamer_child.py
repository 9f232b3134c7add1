"""The process in which GStreamer runs: it decodes and writes raw pictures to its standard output.

It is not imported but started by ``runtime.gstreamer_process``, which says in one line of JSON on
standard input what to do. This takes the place of ``gst-launch-1.0`` because a command line is
readable by every user of a machine, and the camera's password would stand in it. It needs neither
Python bindings nor NumPy: it calls the C library.

Standard output carries pictures (``runtime.raw_frames``), standard error one JSON object a line:
``{"error": ...}``, ``{"decoder": ...}`` or ``{"elements": [...]}``. The process ends when its
standard input does: if its parent is killed, too.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from runtime.gstreamer_library import GError, MapInfo, Value, load_gstreamer
from runtime.raw_frames import RawFrameHeader

WAIT_NS = 50_000_000  # how long an error may go unnoticed
GRACE_S = 1.0  # for a polite end: the camera is told that the session is over
MESSAGE_EOS, MESSAGE_ERROR = 1, 2
STATE_NULL, STATE_PLAYING = 1, 4
MAP_READ = 1
ITERATOR_OK = 1
CHANNELS = {b"BGR": 3, b"BGRx": 4}


class StopRequest(BaseException):
    """The parent asks for the end, or is gone."""


class Pipeline:
    """A running pipeline that ends in an appsink named ``frames``.

    Args:
        gstreamer: The C library.
        description: In the notation of ``gst-launch-1.0``.
        properties: Texts to set by element and property; they never become part of a description.
        output: What pictures are written to.
    """

    def __init__(
        self, gstreamer: Any, description: str, properties: dict[str, dict[str, str]], output: int
    ) -> None:
        self._gst = gstreamer
        self._output = output
        error = ctypes.POINTER(GError)()
        self._pipeline = gstreamer.gst_parse_launch(description.encode(), ctypes.byref(error))
        if error:
            self._fail(error, "")
        for element, values in properties.items():
            target = gstreamer.gst_bin_get_by_name(self._pipeline, element.encode())
            for name, value in values.items():
                gstreamer.g_object_set(target, name.encode(), value.encode(), None)
        self._sink = gstreamer.gst_bin_get_by_name(self._pipeline, b"frames")
        self._bus = gstreamer.gst_element_get_bus(self._pipeline)

    def run(self) -> None:
        """Write pictures until an error or the end of the stream, which are reported."""
        self._gst.gst_element_set_state(self._pipeline, STATE_PLAYING)
        has_decoder = False
        while True:
            sample = self._gst.gst_app_sink_try_pull_sample(self._sink, WAIT_NS)
            if sample:
                captured_ns = time.monotonic_ns()
                if not has_decoder:
                    report({"decoder": self._decoder_name()})
                    has_decoder = True
                self._write_sample(sample, captured_ns)
                self._gst.gst_mini_object_unref(sample)
            self._check_bus(0 if sample else WAIT_NS)

    def stop(self) -> None:
        """Say goodbye to the camera and stop all threads."""
        self._gst.gst_element_set_state(self._pipeline, STATE_NULL)

    def _check_bus(self, wait_ns: int) -> None:
        """End the process after an error, or at the end of the stream."""
        kinds = MESSAGE_ERROR | MESSAGE_EOS  # both at once: what is not asked for is thrown away
        message = self._gst.gst_bus_timed_pop_filtered(self._bus, wait_ns, kinds)
        if not message:
            return
        if not self._gst.gst_message_get_structure(message):  # only an error has one
            report({"error": "the camera ended the stream", "domain": "", "code": 0, "debug": ""})
            raise StopRequest
        error, debug = ctypes.POINTER(GError)(), ctypes.c_char_p()
        self._gst.gst_message_parse_error(message, ctypes.byref(error), ctypes.byref(debug))
        self._fail(error, (debug.value or b"").decode(errors="replace"))

    def _fail(self, error: Any, debug: str) -> None:
        content = error.contents
        domain = self._gst.g_quark_to_string(content.domain).decode()
        message = content.message.decode(errors="replace")
        report({"error": message, "domain": domain, "code": content.code, "debug": debug})
        raise StopRequest

    def _write_sample(self, sample: Any, captured_ns: int) -> None:
        """Write one picture."""
        buffer = self._gst.gst_sample_get_buffer(sample)
        header = self._header(sample, captured_ns)
        info = MapInfo()
        if not self._gst.gst_buffer_map(buffer, ctypes.byref(info), MAP_READ):
            return
        # A sink that knows no video metadata is given rows at the usual distance.
        if info.size >= header.payload_bytes:
            content = (ctypes.c_char * header.payload_bytes).from_address(info.data)
            write_all(self._output, header.pack(), memoryview(content).cast("B"))
        self._gst.gst_buffer_unmap(buffer, ctypes.byref(info))

    def _header(self, sample: Any, captured_ns: int) -> RawFrameHeader:
        gst = self._gst
        caps = gst.gst_caps_get_structure(gst.gst_sample_get_caps(sample), 0)
        width, height, numerator, denominator = (ctypes.c_int() for _ in range(4))
        gst.gst_structure_get_int(caps, b"width", ctypes.byref(width))
        gst.gst_structure_get_int(caps, b"height", ctypes.byref(height))
        rate = (ctypes.byref(numerator), ctypes.byref(denominator))
        gst.gst_structure_get_fraction(caps, b"framerate", *rate)
        channels = CHANNELS[gst.gst_structure_get_string(caps, b"format")]
        row_bytes = (width.value * channels + 3) // 4 * 4
        return RawFrameHeader(
            *(width.value, height.value, channels, row_bytes),
            *(max(0, numerator.value), max(1, denominator.value), captured_ns),
        )

    def _decoder_name(self) -> str:
        """Return the element that decodes; empty where pictures come uncompressed."""
        gst, found, value = self._gst, "", Value()
        elements = gst.gst_bin_iterate_recurse(self._pipeline)
        while gst.gst_iterator_next(elements, ctypes.byref(value)) == ITERATOR_OK:
            element = gst.g_value_get_object(ctypes.byref(value))
            if b"Codec/Decoder" in (gst.gst_element_get_metadata(element, b"klass") or b""):
                factory = gst.gst_element_get_factory(element)
                found = gst.gst_object_get_name(factory).decode()
            gst.g_value_unset(ctypes.byref(value))
        gst.gst_iterator_free(elements)
        return found


def write_all(output: int, header: bytes, content: memoryview) -> None:
    """Write to a pipe, however little it takes at a time."""
    os.write(output, header)  # a pipe takes so few bytes at once or not at all
    written = 0
    while written < len(content):
        written += os.write(output, content[written:])


def claim_output() -> int:
    """Return what pictures are written to, and send there nothing else.

    NVIDIA's plugins print to standard output: that goes to standard error from now on.
    """
    output = os.dup(1)
    os.dup2(2, 1)
    return output


def report(message: dict[str, Any]) -> None:
    """Tell the parent something."""
    os.write(2, f"\n{json.dumps(message)}\n".encode())  # a plugin may have left a line unfinished


def end_with_parent() -> None:
    """Wait for the end of standard input, then for a polite end, then end for certain."""
    while os.read(0, 4096):
        pass
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def request_stop(_number: int, _frame: FrameType | None) -> None:
    """Leave whatever the main thread is doing."""
    raise StopRequest


def serve_parent() -> None:
    """Do what the parent asks for."""
    with os.fdopen(os.dup(0), "rb", buffering=0) as request_stream:
        request = json.loads(request_stream.readline())
    output = claim_output()
    pipeline = None
    try:
        gstreamer = load_gstreamer()
        if "elements" in request:
            find = gstreamer.gst_element_factory_find
            report({"elements": [name for name in request["elements"] if find(name.encode())]})
        else:
            signal.signal(signal.SIGTERM, request_stop)
            threading.Thread(target=end_with_parent, daemon=True).start()
            pipeline = Pipeline(gstreamer, request["description"], request["properties"], output)
            pipeline.run()
    except (OSError, AttributeError) as error:  # not installed, too old, or the parent is gone
        report({"error": str(error), "domain": "library", "code": 0, "debug": ""})
    except StopRequest:
        pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending
    if pipeline is not None:
        pipeline.stop()
    os._exit(0)  # threads of GStreamer must not outlive the interpreter's


if __name__ == "__main__":
    serve_parent()
