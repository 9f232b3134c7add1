"""The stream of pictures that one viewer gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from runtime import web_viewers
from runtime.web_pictures import PictureKey, PictureOptions, WebSink
from runtime.web_viewers import BOUNDARY, ViewerWish, part_header, picture_parts
from tests.fakes.web_stream import FakeCamera, make_result

GATE, YARD = FakeCamera("gate", (60, 80)), FakeCamera("back yard", (60, 80))
KEYS = (PictureKey("gate"), PictureKey("back yard"))
TIMEOUT_S = 30.0


@pytest.fixture
def sink() -> WebSink:
    return WebSink(PictureOptions(1000.0, 640, 80))


async def following(parts: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext_of(parts), TIMEOUT_S)


async def anext_of(parts: AsyncIterator[bytes]) -> bytes:
    return await parts.__anext__()


def headers_of(part: bytes) -> dict[str, str]:
    head = part.partition(b"\r\n\r\n")[0].decode("ascii")
    return dict(line.split(": ", 1) for line in head.split("\r\n"))


def test_a_part_is_whole_and_ends_with_the_delimiter(sink: WebSink) -> None:
    async def scenario() -> None:
        sink.publish(make_result(GATE))
        parts = picture_parts(sink, ViewerWish(KEYS[:1], with_records=True))
        assert await following(parts) == f"--{BOUNDARY}\r\n".encode()
        part = await following(parts)
        headers = headers_of(part)
        body = part.partition(b"\r\n\r\n")[2]
        length = int(headers["Content-Length"])
        assert body[:2] == b"\xff\xd8"
        assert body[length - 2 : length] == b"\xff\xd9"
        assert body[length:] == f"\r\n--{BOUNDARY}\r\n".encode()
        assert headers["X-Camera"] == "gate"
        assert float(headers["X-Age-Ms"]) >= 0
        assert len(json.loads(headers["X-Record"])["detections"]) == 3
        await parts.aclose()  # type: ignore[attr-defined]

    asyncio.run(scenario())


def test_every_new_picture_comes_once(sink: WebSink) -> None:
    async def scenario() -> None:
        parts = picture_parts(sink, ViewerWish(KEYS[:1], with_records=True))
        await following(parts)
        frames = []
        for index in range(3):
            coming = asyncio.ensure_future(anext_of(parts))
            await asyncio.sleep(0.02)
            assert not coming.done()
            camera = FakeCamera("gate", (60, 80), captured=index)
            await asyncio.to_thread(sink.publish, make_result(camera))
            part = await asyncio.wait_for(coming, TIMEOUT_S)
            frames.append(json.loads(headers_of(part)["X-Record"])["frame"])
        assert frames == [0, 1, 2]

    asyncio.run(scenario())


def test_several_cameras_share_one_stream(sink: WebSink) -> None:
    async def scenario() -> None:
        sink.publish(make_result(GATE))
        sink.publish(make_result(YARD))
        parts = picture_parts(sink, ViewerWish(KEYS, with_records=False))
        await following(parts)
        headers = [headers_of(await following(parts)) for _ in range(2)]
        assert [part["X-Camera"] for part in headers] == ["gate", "back%20yard"]
        assert "X-Record" not in headers[0]

    asyncio.run(scenario())


def test_the_last_picture_of_a_camera_that_fell_silent_arrives(
    sink: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_viewers, "LOOK_AGAIN_S", 0.01)
    slow = WebSink(PictureOptions(0.001, 640, 80))

    async def scenario() -> None:
        parts = picture_parts(slow, ViewerWish(KEYS[:1], with_records=False))
        await following(parts)
        for _ in range(4):  # the third is not due for a quarter of an hour
            coming = asyncio.ensure_future(anext_of(parts))
            await asyncio.sleep(0.02)
            slow.publish(make_result(GATE))
            await asyncio.wait_for(coming, TIMEOUT_S)

    asyncio.run(scenario())


def test_the_stream_ends_with_the_sink(sink: WebSink) -> None:
    async def scenario() -> list[bytes]:
        asyncio.get_running_loop().call_later(0.05, sink.close)
        return [part async for part in picture_parts(sink, ViewerWish(KEYS, with_records=False))]

    assert len(asyncio.run(scenario())) == 1


def test_a_viewer_that_left_costs_nothing(sink: WebSink) -> None:
    async def scenario() -> None:
        parts = picture_parts(sink, ViewerWish(KEYS[:1], with_records=False))
        await following(parts)
        coming = asyncio.ensure_future(anext_of(parts))
        await asyncio.sleep(0.05)
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)

    asyncio.run(scenario())
    sink.publish(make_result(GATE))
    assert sink.encodes == 0


def test_a_server_that_stopped_does_not_hurt_the_sink(sink: WebSink) -> None:
    wakes = []
    sink.wait = lambda key, serial, wake: wakes.append(wake)  # type: ignore[method-assign]

    async def scenario() -> None:
        parts = picture_parts(sink, ViewerWish(KEYS[:1], with_records=False))
        await following(parts)
        coming = asyncio.ensure_future(anext_of(parts))
        await asyncio.sleep(0.05)
        coming.cancel()

    asyncio.run(scenario())
    wakes[0]()  # its loop is closed


def test_the_age_is_that_of_the_moment_of_sending(sink: WebSink) -> None:
    result = make_result(GATE)
    sink.publish(result)
    sink.refresh(KEYS[0])
    picture = sink.newer(KEYS[0], 0)
    assert picture is not None

    def age() -> float:
        lines = part_header(picture, with_record=False).decode().split("\r\n")
        return float(next(line for line in lines if line.startswith("X-Age")).split()[1])

    first = age()
    asyncio.run(asyncio.sleep(0.05))
    assert age() >= first + 40
