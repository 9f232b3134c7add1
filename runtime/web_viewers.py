"""The stream of pictures that one viewer gets: as fast as it takes them, and never an old one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from runtime.web_pictures import EncodedPicture, PictureKey, WebSink

BOUNDARY = "cornerrt-picture"
MEDIA_TYPE = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
# A camera that fell silent may have left a picture that was not due for encoding.
LOOK_AGAIN_S = 1.0


@dataclass(frozen=True)
class ViewerWish:
    """What a viewer asked for.

    Attributes:
        keys: Pictures, one per camera.
        with_records: Whether each comes with its detections, in a header of its part.
    """

    keys: Sequence[PictureKey]
    with_records: bool


async def picture_parts(sink: WebSink, wish: ViewerWish) -> AsyncIterator[bytes]:
    """Yield the stream's bytes until the sink is closed: each camera's newest picture, then newer.

    A viewer that takes its time misses pictures, and gets the newest when it is ready.
    """
    delimiter = f"\r\n--{BOUNDARY}\r\n".encode()
    yield delimiter[2:]
    seen = dict.fromkeys(wish.keys, 0)
    await asyncio.to_thread(_refresh, sink, wish.keys)
    while pictures := await _newer_pictures(sink, seen):
        for key, picture in pictures.items():
            seen[key] = picture.serial
            # With the next part's delimiter, or browsers would wait for it to show this one.
            header = part_header(picture, wish.with_records)
            yield b"".join((header, picture.jpeg, delimiter))


def part_header(picture: EncodedPicture, with_record: bool) -> bytes:
    """Return the header of one part, with the picture's age at this very moment."""
    lines = [
        "Content-Type: image/jpeg",
        f"Content-Length: {len(picture.jpeg)}",
        f"X-Camera: {quote(picture.camera)}",
        f"X-Age-Ms: {picture.age_ms:.1f}",
    ]
    if with_record:
        lines.append(f"X-Record: {picture.record.decode('ascii')}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def _newer_pictures(
    sink: WebSink, seen: dict[PictureKey, int]
) -> dict[PictureKey, EncodedPicture]:
    """Wait for pictures that the viewer does not have; empty when no more come."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
            loop.call_soon_threadsafe(arrived.set)

    while True:
        found = {key: new for key, serial in seen.items() if (new := sink.newer(key, serial))}
        if found or sink.is_closed:
            return found
        try:
            for key, serial in seen.items():
                sink.wait(key, serial, wake)
            await asyncio.wait_for(arrived.wait(), LOOK_AGAIN_S)
        except asyncio.TimeoutError:
            await asyncio.to_thread(_refresh, sink, tuple(seen))
        finally:
            for key in seen:
                sink.forget(key, wake)
        arrived.clear()


def _refresh(sink: WebSink, keys: Sequence[PictureKey]) -> None:
    for key in keys:
        sink.refresh(key)
