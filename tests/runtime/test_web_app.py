"""The web view's addresses: what each answers, also to nonsense."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from urllib.parse import quote

import pytest

pytest.importorskip("starlette", reason="the web view's libraries: pip install -e '.[web]'")

from starlette.exceptions import HTTPException
from starlette.requests import Request

from runtime.source_state import SourceState
from runtime.web_access import Access, Token
from runtime.web_app import ASSETS, MOST_STREAMS, WebView, build_app
from runtime.web_pictures import PictureOptions, WebSink, snapshot_jpeg
from tests.fakes.asgi import request
from tests.fakes.web_stream import FakeCamera, FakeControl, make_result

TOKEN = "correct-horse-battery-staple"
JSON = {"content-type": "application/json"}
NAMES = ("gate", "back yard", "http://cam/x", "<b>&\"'")


@pytest.fixture
def view() -> WebView:
    control = FakeControl(*(FakeCamera(name, (60, 80)) for name in NAMES))
    sink = WebSink(PictureOptions(15.0, 40, 80))
    return WebView(sink, control, Access(None, 8080))


def score_of(view: WebView, body: bytes, headers: dict[str, str] = JSON) -> int:
    return request(build_app(view), "/api/score", "POST", headers, body).status


@pytest.mark.parametrize("name", sorted(file.name for file in ASSETS.iterdir()))
def test_every_asset_is_served_and_needs_no_other_host(view: WebView, name: str) -> None:
    answer = request(build_app(view), f"/{name}")
    assert answer.status == 200
    assert answer.body == (ASSETS / name).read_bytes()
    text = answer.body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"(https?:|[\"'(`])//", text)
    again = request(build_app(view), f"/{name}", headers={"if-none-match": answer.header("etag")})
    assert (again.status, again.body) == (304, b"")


def test_the_page(view: WebView) -> None:
    answer = request(build_app(view), "/")
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert b"<title>CornerRT</title>" in answer.body
    assert b"style=" not in answer.body  # the policy forbids it
    assert b"onclick" not in answer.body


def test_the_status(view: WebView) -> None:
    answer = request(build_app(view), "/api/status")
    assert answer.header("cache-control") == "no-store"
    assert [camera["name"] for camera in json.loads(answer.body)["cameras"]] == list(NAMES)


@pytest.mark.parametrize(("body", "score"), [(b'{"score": 0.45}', 0.45), (b'{"score": 1}', 1.0)])
def test_the_threshold_is_everybodys(view: WebView, body: bytes, score: float) -> None:
    app = build_app(view)
    request(app, "/api/status")
    answer = request(app, "/api/score", "POST", JSON, body)
    assert json.loads(answer.body) == {"score": score}
    assert json.loads(request(app, "/api/status").body)["score"] == score


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0.5",
        b"[]",
        b"{}",
        b'{"score": "0.5"}',
        b'{"score": true}',
        b'{"score": null}',
        b'{"score": -0.01}',
        b'{"score": 1.01}',
        b'{"score": NaN}',
        b'{"score": Infinity}',
        b"\xff\xfe",
        b"[" * 4000,
        b'{"score": 1e999}',
        b'{"score": 1' + b"0" * 4000 + b"}",
    ],
)
def test_what_is_no_threshold(view: WebView, body: bytes) -> None:
    assert score_of(view, body) == 422
    assert view.control.status().score == 0.3


def test_other_bad_requests_for_a_threshold(view: WebView) -> None:
    assert score_of(view, b'{"score": 0.5}', {"content-type": "text/plain"}) == 415
    assert score_of(view, b'{"score": 0.5}', {}) == 415
    assert score_of(view, b" " * 5000) == 413
    assert request(build_app(view), "/api/score").status == 405


@pytest.mark.parametrize("index", range(len(NAMES)))
def test_a_snapshot(view: WebView, index: int) -> None:
    result = make_result(view.control.cameras[index])  # type: ignore[attr-defined]
    view.pictures.publish(result)
    app, address = build_app(view), f"/cameras/{quote(NAMES[index], safe='')}/snapshot.jpg"
    answer = request(app, address)
    assert answer.header("content-type") == "image/jpeg"
    assert re.search(r'filename="[A-Za-z0-9.-]*-000000\.jpg"', answer.header("content-disposition"))
    assert answer.body == snapshot_jpeg(result, with_boxes=True)
    assert request(app, f"{address}?boxes=0").body == snapshot_jpeg(result, with_boxes=False)


def test_many_snapshots_of_a_picture_are_encoded_once(
    view: WebView, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr("runtime.web_app.snapshot_jpeg", lambda *_: calls.append(1) or b"jpeg")
    app = build_app(view)
    for _ in range(2):
        view.pictures.publish(make_result(FakeCamera("gate", (60, 80))))
        bodies = {request(app, "/cameras/gate/snapshot.jpg").body for _ in range(3)}
        assert bodies == {b"jpeg"}
    assert len(calls) == 2


@pytest.mark.parametrize("file", ["snapshot.jpg", "stream.mjpg"])
@pytest.mark.parametrize("name", ["nobody", "..%2f..%2fetc%2fpasswd", "%00", "gate%20", ""])
def test_there_is_no_such_camera(view: WebView, name: str, file: str) -> None:
    answer = request(build_app(view), f"/cameras/{name}/{file}")
    assert answer.status == 404
    assert b"root:" not in answer.body


def test_a_camera_without_a_picture_yet(view: WebView) -> None:
    answer = request(build_app(view), "/cameras/gate/snapshot.jpg")
    assert (answer.status, answer.body) == (503, b"no picture yet; try again in a moment")


@pytest.mark.parametrize(
    "address",
    [
        "/stream.mjpg",
        "/stream.mjpg?camera=gate&camera=back%20yard",
        "/cameras/gate/stream.mjpg?boxes=1",
        "/cameras/http%3A%2F%2Fcam%2Fx/stream.mjpg",
    ],
)
def test_streams(view: WebView, address: str) -> None:
    for camera in view.control.cameras:  # type: ignore[attr-defined]
        view.pictures.publish(make_result(camera))
    head = request(build_app(view), address, "HEAD")
    assert (head.status, head.body) == (200, b"")
    view.pictures.close()  # what is there is not delivered any more
    answer = request(build_app(view), address)
    assert answer.header("content-type").startswith("multipart/x-mixed-replace; boundary=")
    assert view.streams == 0


def test_a_stream_of_an_unknown_camera(view: WebView) -> None:
    assert request(build_app(view), "/stream.mjpg?camera=gate&camera=x").status == 404


def test_too_many_viewers_are_refused(view: WebView) -> None:
    view.streams = MOST_STREAMS
    answer = request(build_app(view), "/stream.mjpg")
    assert answer.status == 503
    assert b"watch already" in answer.body


def test_viewers_that_all_come_at_once_are_counted(view: WebView) -> None:
    asked = Request({"type": "http", "method": "GET", "query_string": b"", "path_params": {}})

    async def come() -> None:
        await asyncio.gather(*(view.stream(asked) for _ in range(MOST_STREAMS)))
        with pytest.raises(HTTPException, match="503"):
            await view.stream(asked)

    asyncio.run(come())


def test_health(view: WebView) -> None:
    app = build_app(view)
    assert request(app, "/healthz").body == b"ok\n"
    for camera in view.control.cameras:  # type: ignore[attr-defined]
        camera.state = SourceState.ENDED
    answer = request(app, "/healthz")
    assert (answer.status, answer.body) == (503, b"every source has ended\n")


def test_metrics(view: WebView) -> None:
    pytest.importorskip("prometheus_client")
    answer = request(build_app(view), "/metrics")
    assert answer.status == 200
    assert answer.header("content-type").startswith("text/plain; version=0.0.4")
    assert b'camera="gate"' in answer.body


def test_metrics_without_their_library(view: WebView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "runtime.metrics", None)
    answer = request(build_app(view), "/metrics")
    assert answer.status == 501
    assert b"prometheus_client" in answer.body


def test_logging_in(view: WebView) -> None:
    view.access = Access(Token(TOKEN), 8080)
    app = build_app(view)
    wrong = request(app, "/login", "POST", body=b"token=wrong")
    assert (wrong.status, wrong.body) == (401, b"the token is wrong")
    assert not wrong.header("set-cookie")
    right = request(app, "/login", "POST", body=f"token={TOKEN}".encode())
    assert (right.status, right.body) == (204, b"")
    assert right.header("set-cookie") == view.access.cookie_header()
    assert request(app, "/login", "POST", body=b"\xff" * 5000).status == 413


def test_logging_in_where_no_token_is_needed(view: WebView) -> None:
    answer = request(build_app(view), "/login", "POST", body=b"token=")
    assert (answer.status, answer.header("set-cookie")) == (204, "")


@pytest.mark.parametrize(
    "address", ["/x", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/web_app.py", "/api"]
)
def test_what_is_not_there(view: WebView, address: str) -> None:
    assert request(build_app(view), address).status == 404
