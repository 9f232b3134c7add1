"""The web view's pages and addresses."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runtime.frames import FrameResult
from runtime.stream_status import StreamControl
from runtime.web_access import TOKEN_KEY, Access
from runtime.web_pictures import PictureKey, WebSink, snapshot_jpeg
from runtime.web_status import HealthCheck, StatusText
from runtime.web_viewers import MEDIA_TYPE, ViewerWish, picture_parts
from runtime.zones import Line, Zone

ASSETS = Path(__file__).with_name("web_assets")
ASSET_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
ASSET_TYPES[".svg"] = "image/svg+xml"
PAGES = {"/": "index.html", "/login": "login.html"}  # others are served under their own names
MOST_BODY_BYTES = 4096  # a threshold or a token
BODY_TIMEOUT_S = 5.0
MOST_STREAMS = 32  # further viewers are refused, so that those who watch go on
NO_STORE = {"cache-control": "no-store"}
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Endpoint = Callable[[Request], Awaitable[Response]]


class PictureStream(StreamingResponse):
    """Ends its iterator, too, when the viewer leaves in the middle.

    Args:
        parts: The body.
        on_end: Called when the viewer has left, also before the first part.
    """

    def __init__(self, parts: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        super().__init__(parts, media_type=MEDIA_TYPE, headers=NO_STORE)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        try:
            async with contextlib.aclosing(self.body_iterator):  # type: ignore[type-var]
                await super().__call__(scope, receive, send)
        finally:
            self._on_end()


@dataclass
class WebView:
    """What the pages show, and the answers to requests for it.

    Attributes:
        pictures: The newest of every camera.
        control: The running stream.
        access: Who may look.
        places: Zones and lines, to be drawn over the pictures.
        streams: How many viewers watch now.
    """

    pictures: WebSink
    control: StreamControl
    access: Access
    places: Sequence[Zone | Line] = ()
    streams: int = 0
    _snapshots: dict[PictureKey, tuple[FrameResult, bytes]] = field(default_factory=dict)
    _snapshot_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Prepare what all viewers share."""
        self._health = HealthCheck()
        self._status = StatusText(self.control, self.places)

    async def read_status(self, request: Request) -> Response:
        """``GET /api/status``: what the stream is doing, as JSON."""
        text = await asyncio.to_thread(self._status.read)
        return Response(text, media_type="application/json", headers=NO_STORE)

    async def set_score(self, request: Request) -> Response:
        """``POST /api/score``: set the threshold, for everybody; the body is ``{"score": 0.4}``."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise HTTPException(415, "expected a body of type application/json")
        score = _score_from(await _read_body(request))
        await asyncio.to_thread(self.control.set_score, score)
        self._status.forget()
        return Response(json.dumps({"score": score}), media_type="application/json")

    async def stream(self, request: Request) -> Response:
        """``GET /cameras/NAME/stream.mjpg``, or ``/stream.mjpg?camera=NAME`` of one or more.

        ``boxes=1`` draws the boxes, ``record=1`` adds the detections to each part's header.
        """
        asked = request.path_params.get("camera")
        names = request.query_params.getlist("camera") if asked is None else [asked]
        known = await self._camera_names()
        names = list(dict.fromkeys(names)) or known
        for name in names:
            _check_camera(name, known)
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE, headers=NO_STORE)
        if self.streams >= MOST_STREAMS:
            raise HTTPException(503, f"{MOST_STREAMS} viewers watch already; try again later")
        with_boxes = request.query_params.get("boxes") == "1"
        keys = [PictureKey(name, with_boxes) for name in names]
        wish = ViewerWish(keys, request.query_params.get("record") == "1")
        self.streams += 1  # at once: many may ask before the first of them gets a part
        return PictureStream(picture_parts(self.pictures, wish), self._leave)

    async def snapshot(self, request: Request) -> Response:
        """``GET /cameras/NAME/snapshot.jpg``: the current picture in full size.

        It has its boxes unless ``boxes=0``.
        """
        name = request.path_params["camera"]
        result = self.pictures.result(name)
        if result is None:
            _check_camera(name, await self._camera_names())
            raise HTTPException(503, "no picture yet; try again in a moment")
        key = PictureKey(name, request.query_params.get("boxes") != "0")
        file_name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
        disposition = f'inline; filename="{file_name}-{result.frame.sequence:06d}.jpg"'
        headers = {**NO_STORE, "content-disposition": disposition}
        jpeg = await self._snapshot_jpeg(key, result)
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    async def read_health(self, request: Request) -> Response:
        """``GET /healthz``: 503 if a restart would help, else 200; see ``HealthCheck``."""
        status = await asyncio.to_thread(self.control.status)
        problem = self._health.problem(status, time.monotonic())
        return PlainTextResponse(f"{problem or 'ok'}\n", 503 if problem else 200, NO_STORE)

    async def read_metrics(self, request: Request) -> Response:
        """``GET /metrics``: the same figures for Prometheus."""
        try:
            from runtime.metrics import metrics_text
        except ModuleNotFoundError:
            hint = "metrics need prometheus_client; install it: pip install -e '.[metrics]'"
            raise HTTPException(501, hint) from None
        text = await asyncio.to_thread(metrics_text, self.control)
        return Response(text, media_type=METRICS_TYPE, headers=NO_STORE)

    async def log_in(self, request: Request) -> Response:
        """``POST /login``: take the token from a form and give a cookie for it."""
        values = parse_qs((await _read_body(request)).decode("utf-8", "replace"))
        token = self.access.token
        if token is not None and not token.matches(values.get(TOKEN_KEY, [""])[0]):
            raise HTTPException(401, "the token is wrong")
        cookie = {} if token is None else {"set-cookie": self.access.cookie_header()}
        return Response(status_code=204, headers=cookie)

    async def _camera_names(self) -> list[str]:
        status = json.loads(await asyncio.to_thread(self._status.read))
        return [camera["name"] for camera in status["cameras"]]

    def _leave(self) -> None:
        self.streams -= 1

    async def _snapshot_jpeg(self, key: PictureKey, result: FrameResult) -> bytes:
        """Encode one at a time, and each picture once however many want it."""
        async with self._snapshot_lock:
            kept = self._snapshots.get(key)
            if kept is None or kept[0] is not result:
                kept = result, await asyncio.to_thread(snapshot_jpeg, result, key.with_boxes)
                self._snapshots[key] = kept
        return kept[1]


def build_app(view: WebView) -> Starlette:
    """Return the application; put an ``AccessGate`` before it."""
    routes = [
        Route("/api/status", view.read_status),
        Route("/api/score", view.set_score, methods=["POST"]),
        Route("/stream.mjpg", view.stream),
        Route("/cameras/{camera:path}/stream.mjpg", view.stream),
        Route("/cameras/{camera:path}/snapshot.jpg", view.snapshot),
        Route("/healthz", view.read_health),
        Route("/metrics", view.read_metrics),
        Route("/login", view.log_in, methods=["POST"]),
    ]
    pages = {**{f"/{file.name}": file.name for file in ASSETS.iterdir()}, **PAGES}
    routes += [Route(address, _asset(ASSETS / name)) for address, name in sorted(pages.items())]
    return Starlette(routes=routes)


def _asset(file: Path) -> Endpoint:
    """Return the endpoint of a file of ours, read once: addresses never become paths."""
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    media_type = ASSET_TYPES[file.suffix]

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return answer


async def _read_body(request: Request) -> bytes:
    async def read() -> bytes:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                raise HTTPException(413, f"expected a body of at most {MOST_BODY_BYTES} bytes")
        return body

    try:
        return await asyncio.wait_for(read(), BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise HTTPException(408, "the body did not arrive in time") from None
    except ClientDisconnect:
        raise HTTPException(400, "the body was cut short") from None


def _score_from(body: bytes) -> float:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    score = values.get("score") if isinstance(values, dict) else None
    if isinstance(score, bool) or not isinstance(score, int | float):
        score = math.nan
    if not 0.0 <= score <= 1.0:
        raise HTTPException(422, 'expected {"score": NUMBER} with a number from 0 to 1')
    return float(score)


def _check_camera(name: str, known: list[str]) -> None:
    if name not in known:
        raise HTTPException(404, f"there is no such camera; there are: {', '.join(known)}")
