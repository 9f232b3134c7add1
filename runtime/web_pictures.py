"""The newest picture of every camera, as JPEG for all viewers at once and only while they look."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from runtime.frames import FrameResult
from runtime.records import record_from

SNAPSHOT_QUALITY = 95  # kept and looked at closely
# Where each pixel of the small picture meets more than 2 x 2 of the large one, all must be
# averaged or fine patterns flicker; below, that costs five times as much and shows nothing.
AREA_FROM_FACTOR = 2.0
Wake = Callable[[], None]


@dataclass(frozen=True)
class PictureOptions:
    """What viewers get.

    Attributes:
        frames_per_second: Most pictures of one camera.
        width: Widest picture in pixels.
        quality: Of the JPEG, 1 to 100.
    """

    frames_per_second: float
    width: int
    quality: int


@dataclass(frozen=True)
class PictureKey:
    """One kind of picture that viewers can ask for.

    Attributes:
        camera: Name of the camera.
        with_boxes: Whether boxes are drawn on it already.
    """

    camera: str
    with_boxes: bool = False


@dataclass(frozen=True)
class EncodedPicture:
    """A picture as viewers get it.

    Attributes:
        camera: Where it comes from.
        serial: Grows with every picture that the camera delivers, from 1.
        jpeg: The file.
        record: The detections as ``record_from`` has them, JSON in ASCII.
        captured_ns: Monotonic clock when it was captured.
    """

    camera: str
    serial: int
    jpeg: bytes
    record: bytes
    captured_ns: int

    @property
    def age_ms(self) -> float:
        """Milliseconds from its capture until now."""
        return (time.monotonic_ns() - self.captured_ns) * 1e-6


@dataclass
class _Stream:
    """Pictures of one kind: the one encoded last, and who waits for the next."""

    encoded: EncodedPicture | None = None
    due_s: float = 0.0
    waiting: list[Wake] = field(default_factory=list)


@dataclass
class _Newest:
    result: FrameResult
    serial: int


class WebSink:
    """Keeps each camera's newest result and encodes it for those who wait, once for all of them.

    As long as nobody waits, a result costs one assignment. A viewer that is still busy with an
    earlier picture does not wait, so that slow viewers cost less and not more.

    Args:
        options: What viewers get.

    Attributes:
        encodes: Pictures encoded so far, snapshots not counted.
    """

    name = "serve"
    needs_picture = True
    in_main_thread = False

    def __init__(self, options: PictureOptions) -> None:
        self.encodes = 0
        self._options = options
        self._interval_s = 1.0 / options.frames_per_second
        self._lock = threading.Lock()
        self._encoding = threading.Lock()
        self._newest: dict[str, _Newest] = {}
        self._streams: dict[PictureKey, _Stream] = {}
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether no more pictures come."""
        return self._is_closed

    def publish(self, result: FrameResult) -> None:
        """Keep the result; encode it if somebody waits and the next picture is due."""
        camera, now = result.camera, time.monotonic()
        with self._lock:
            before = self._newest.get(camera)
            self._newest[camera] = _Newest(result, 1 if before is None else before.serial + 1)
            wanted = [
                key
                for key, stream in self._streams.items()
                if key.camera == camera and stream.waiting and now >= stream.due_s
            ]
            for key in wanted:
                stream = self._streams[key]
                # From when it was due, so that the pace is right on average; but an idle time
                # does not entitle to a burst.
                stream.due_s = max(stream.due_s, now - self._interval_s) + self._interval_s
        for key in wanted:
            self.refresh(key)

    def result(self, camera: str) -> FrameResult | None:
        """Return the newest result of a camera; None before the first."""
        with self._lock:
            newest = self._newest.get(camera)
        return None if newest is None else newest.result

    def newer(self, key: PictureKey, serial: int) -> EncodedPicture | None:
        """Return what was encoded last if it is newer than a viewer's last one."""
        with self._lock:
            stream = self._streams.get(key)
            encoded = None if stream is None else stream.encoded
        return encoded if encoded is not None and encoded.serial > serial else None

    def wait(self, key: PictureKey, serial: int, wake: Wake) -> None:
        """Have ``wake`` called once, from any thread, when there is a picture newer than one.

        It is called at once if there is one already, or if no more pictures come.
        """
        with self._lock:
            stream = self._streams.setdefault(key, _Stream())
            is_there = stream.encoded is not None and stream.encoded.serial > serial
            if not (is_there or self._is_closed):
                stream.waiting.append(wake)
                return
        wake()

    def forget(self, key: PictureKey, wake: Wake) -> None:
        """Take back a ``wait``: the viewer has left."""
        with self._lock:
            stream = self._streams.get(key)
            if stream is not None and wake in stream.waiting:
                stream.waiting.remove(wake)

    def refresh(self, key: PictureKey) -> None:
        """Encode the camera's newest result unless that was done, and wake those who wait."""
        with self._encoding:
            with self._lock:
                newest = self._newest.get(key.camera)
                stream = self._streams.setdefault(key, _Stream())
                if newest is None or (stream.encoded and stream.encoded.serial == newest.serial):
                    return
            encoded = self._encode(newest, key)
            with self._lock:
                stream.encoded = encoded
                self.encodes += 1
                woken, stream.waiting = stream.waiting, []
        for wake in woken:
            wake()

    def close(self) -> None:
        """Wake all who wait: no more pictures come. The last ones can still be asked for."""
        with self._lock:
            self._is_closed = True
            woken = [wake for stream in self._streams.values() for wake in stream.waiting]
            for stream in self._streams.values():
                stream.waiting = []
        for wake in woken:
            wake()

    def discard(self) -> None:
        """As ``close``."""
        self.close()

    def _encode(self, newest: _Newest, key: PictureKey) -> EncodedPicture:
        result = newest.result
        image = result.annotated if key.with_boxes else result.frame.image
        jpeg = jpeg_from(fit_width(image, self._options.width), self._options.quality)
        record = json.dumps(record_from(result), separators=(",", ":")).encode("ascii")
        captured_ns = result.frame.captured_ns
        return EncodedPicture(key.camera, newest.serial, jpeg, record, captured_ns)


def snapshot_jpeg(result: FrameResult, with_boxes: bool) -> bytes:
    """Return a result's picture in full size as JPEG."""
    return jpeg_from(result.annotated if with_boxes else result.frame.image, SNAPSHOT_QUALITY)


def fit_width(image: np.ndarray, width: int) -> np.ndarray:
    """Return a picture no wider than asked for, in its proportions.

    Args:
        image: uint8 (H, W, 3).
        width: Most pixels across, from 1.

    Returns:
        ``image`` itself if it fits; a smaller copy otherwise.
    """
    height_px, width_px = image.shape[:2]
    if width_px <= width:
        return image
    factor = width_px / width
    method = cv2.INTER_AREA if factor >= AREA_FROM_FACTOR else cv2.INTER_LINEAR
    size = (width, max(1, round(height_px / factor)))
    smaller: np.ndarray = cv2.resize(image, size, interpolation=method)
    return smaller


def jpeg_from(image: np.ndarray, quality: int) -> bytes:
    """Return a picture, uint8 (H, W, 3) BGR, as a JPEG file."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()
