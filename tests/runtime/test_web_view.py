"""The web view as users meet it: started by options, used over HTTP by good and bad clients."""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the web view's libraries: pip install -e '.[web]'")
pytest.importorskip("uvicorn", reason="the web view's libraries: pip install -e '.[web]'")

from runtime import web_server
from runtime.errors import OutputError, UsageError
from runtime.options_web import ServeAddress, WebOptions
from runtime.web_pictures import WebSink
from runtime.web_view import OpenWebView, open_web_server, web_sink
from runtime.web_viewers import BOUNDARY
from runtime.zones import Line
from tests.fakes.chromium import wait_until
from tests.fakes.web_client import connect, exchange, get, open_stream, read_all, reply_from
from tests.fakes.web_stream import FakeCamera, FakeControl, FakeStream, make_result

TOKEN = "correct-horse-battery-staple"
LOOPBACK = ServeAddress("127.0.0.1", 0)
ANYWHERE = ServeAddress("0.0.0.0", 0)
HOSTILE_REQUESTS = 1000


def options(token: str | None = None, serve: ServeAddress | None = LOOPBACK) -> WebOptions:
    return WebOptions(serve, token, None, 120.0, 320, 80)


class Opened:
    """A web view, its sink and its stream."""

    def __init__(self, given: WebOptions) -> None:
        self.control = FakeControl(FakeCamera("gate", (120, 160)), FakeCamera("yard", (120, 160)))
        sink = web_sink(given)
        assert sink is not None
        self.sink: WebSink = sink
        view = open_web_server(given, self.sink, self.control)
        assert view is not None
        self.view: OpenWebView = view
        self.port = view.address.port

    def close(self) -> None:
        self.view.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    monkeypatch.setattr(web_server, "_complaints", set())
    with closing(Opened(options())) as opened:
        yield opened


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    monkeypatch.setattr(web_server, "_complaints", set())
    with closing(Opened(options(TOKEN, ANYWHERE))) as opened:
        yield opened


def read_parts(port: int, count: int) -> list[dict[str, str]]:
    """Read so many pictures from a stream and return the headers of their parts."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        connection.request("GET", "/stream.mjpg?record=1&camera=gate")
        answer = connection.getresponse()
        assert answer.readline() == f"--{BOUNDARY}\r\n".encode()
        return [_read_part(answer) for _ in range(count)]


def _read_part(answer: http.client.HTTPResponse) -> dict[str, str]:
    headers = {}
    while line := answer.readline().decode().strip():
        name, _, value = line.partition(": ")
        headers[name] = value
    jpeg = answer.read(int(headers["Content-Length"]))
    assert jpeg[:2] == b"\xff\xd8"
    assert jpeg[-2:] == b"\xff\xd9"
    assert answer.readline() == b"\r\n"
    assert answer.readline() == f"--{BOUNDARY}\r\n".encode()
    return headers


def test_nothing_is_opened_unless_asked_for() -> None:
    assert web_sink(options(serve=None)) is None
    assert open_web_server(options(serve=None), None, FakeControl()) is None


def test_the_sink_takes_pictures_in_a_thread_of_its_own() -> None:
    sink = web_sink(options())
    assert sink is not None
    assert (sink.name, sink.needs_picture, sink.in_main_thread) == ("serve", True, False)


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("runtime.web_app", "starlette", "starlette.applications"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(UsageError, match=r"needs the package starlette.*pip install -e '.\[web\]'"):
        open_web_server(options(), web_sink(options()), FakeControl())


def test_a_port_in_use(opened: Opened) -> None:
    taken = options(serve=ServeAddress("127.0.0.1", opened.port))
    with pytest.raises(OutputError, match="another program listens"):
        open_web_server(taken, web_sink(taken), FakeControl())


def test_the_address_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    for token, serve in ((None, ServeAddress("127.0.0.1", 0)), (TOKEN, ANYWHERE)):
        with closing(Opened(options(token, serve))) as opened:
            line = capfd.readouterr().err
            assert line == f"web view: {opened.view.url}\n"
            assert f":{opened.port}/" in line
            assert "0.0.0.0" not in line


def test_a_new_token_is_told_once_and_works(capfd: pytest.CaptureFixture[str]) -> None:
    with closing(Opened(options("auto", ANYWHERE))) as opened:
        line = capfd.readouterr().err
        token = line.partition("?token=")[2].strip()
        assert get(opened.port, "/api/status").status == 401
        assert get(opened.port, "/api/status", f"Authorization: Bearer {token}").status == 200


def test_a_browser_logs_in(guarded: Opened) -> None:
    assert "location: /login\r\n" in get(guarded.port, "/").head + "\r\n"
    answer = get(guarded.port, f"/?token={TOKEN}")
    assert answer.status == 303
    cookie = next(line for line in answer.head.split("\r\n") if line.startswith("set-cookie"))
    given = "Cookie: " + cookie.partition(": ")[2].partition(";")[0]
    assert get(guarded.port, "/api/status", given).status == 200
    form = f"token={TOKEN}".encode()
    assert "set-cookie" in get(guarded.port, "/login", method="POST", body=form).head


def test_a_stream_has_pictures_with_their_detections(opened: Opened) -> None:
    with FakeStream(opened.control, opened.sink, 100.0):
        parts = read_parts(opened.port, 5)
    records = [json.loads(part["X-Record"]) for part in parts]
    numbers = [record["frame"] for record in records]
    assert numbers == sorted(set(numbers))
    assert {record["camera"] for record in records} == {"gate"}


def test_a_stalled_camera_shows_its_last_picture_and_its_age(opened: Opened) -> None:
    opened.sink.publish(make_result(opened.control.cameras[0]))
    time.sleep(0.3)
    assert float(read_parts(opened.port, 1)[0]["X-Age-Ms"]) >= 300


def test_eight_viewers_cost_one_encode_each_picture(opened: Opened) -> None:
    published = 0
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(closing(open_stream(opened.port, "/cameras/gate/stream.mjpg")))
        waiting = opened.sink._streams
        wait_until(lambda: sum(len(s.waiting) for s in waiting.values()) == 8, "eight viewers")
        for _ in range(10):
            wait_until(lambda: sum(len(s.waiting) for s in waiting.values()) == 8, "all ready")
            opened.sink.publish(make_result(opened.control.cameras[0]))
            published += 1
            time.sleep(0.02)  # more than the interval of the highest pace
    assert opened.sink.encodes <= published
    assert opened.sink.encodes >= published - 2


def test_a_viewer_that_never_reads_delays_nobody_and_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 0.5)
    monkeypatch.setattr(web_server, "SEND_BUFFER_BYTES", 4096)
    with closing(Opened(options())) as opened, FakeStream(opened.control, opened.sink, 200.0):
        with closing(open_stream(opened.port, "/stream.mjpg", read_buffer=2048)) as lazy:
            parts = read_parts(opened.port, 30)
            assert len(parts) == 30
            server = opened.view._server._server
            wait_until(lambda: not server.server_state.tasks, "the lazy viewer is dropped", 30)
            assert read_all(lazy) != b""
        before = opened.sink.encodes
        time.sleep(0.2)
        assert opened.sink.encodes == before


def test_the_last_viewer_to_leave_ends_the_work(opened: Opened) -> None:
    with FakeStream(opened.control, opened.sink, 100.0):
        read_parts(opened.port, 3)
        state = opened.view._server._server.server_state
        wait_until(lambda: not state.tasks, "the viewer has left")
        before = opened.sink.encodes
        time.sleep(0.2)
        assert opened.sink.encodes == before


def test_the_status_of_a_broken_stream(opened: Opened, capfd: pytest.CaptureFixture[str]) -> None:
    opened.control.fail = True
    for _ in range(3):
        assert get(opened.port, "/api/status").status == 500
    assert capfd.readouterr().err == "web view: RuntimeError: the status is broken\n"
    opened.control.fail = False
    assert get(opened.port, "/api/status").status == 200


def test_closing_ends_streams_and_frees_the_port() -> None:
    opened = Opened(options())
    with closing(open_stream(opened.port)) as connection, FakeStream(opened.control, opened.sink):
        connection.recv(1000)
        started_s = time.monotonic()
        opened.close()
        opened.close()
        assert read_all(connection).endswith(b"0\r\n\r\n")  # in order, not cut off
        assert time.monotonic() - started_s < 20
    with pytest.raises(ConnectionRefusedError):
        connect(opened.port)


def test_places_reach_the_page() -> None:
    sink, line = web_sink(options()), Line("door", ((0.5, 0.0), (0.5, 1.0)))
    view = open_web_server(options(), sink, FakeControl(), [line])
    assert view is not None
    with closing(view):
        assert json.loads(_json(view.address.port))["shapes"][0]["name"] == "door"


def _json(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        connection.request("GET", "/api/status")
        return connection.getresponse().read()


def hostile_request(draw: random.Random) -> bytes:
    """Return what somebody may send who means no good, or whose program is broken."""
    noise = draw.randbytes(draw.randrange(1, 400))
    path = draw.choice(["/", "/api/status", "/stream.mjpg", "/login", "/healthz", "/app.js"])
    kinds = [
        noise,
        noise + b"\r\n\r\n",
        b"GET " + noise.replace(b"\n", b"") + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET %b HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (path.encode(), b"h" * 70_000),
        b"%b %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        % (draw.choice([b"BREW", b"DELETE", b"TRACE", b"CONNECT", b"get"]), path.encode()),
        *(
            b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target
            for target in (
                b"/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
                b"/cameras/..%2f..%2f..%2fetc%2fpasswd/snapshot.jpg",
                b"/%zz%%%1?token=%zz&token",
                b"/cameras/%ff%fe/stream.mjpg?camera=%00",
                b"/?token=" + b"w" * draw.randrange(1, 4000),
                b"//evil.example/%0d%0aSet-Cookie:a=b",
                b"http://evil.example/api/status",
            )
        ),
        b"POST /api/score HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + noise,
        b"POST /api/score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + noise.hex().encode() + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + noise.replace(b"\n", b"") + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",  # and no more
    ]
    return draw.choice(kinds)


def send_and_leave(port: int, data: bytes, draw: random.Random) -> bytes:
    """Send; then read the answer, or close half of the connection, or all of it."""
    with closing(connect(port)) as connection:
        try:
            connection.sendall(data)
            ending = draw.choice(["read", "half", "leave"])
            if ending == "half":
                connection.shutdown(1)
            return b"" if ending == "leave" else read_all(connection)
        except ConnectionError:
            return b""


@pytest.mark.slow
def test_a_thousand_hostile_requests(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web_server, "PATIENCE_S", 0.2)
    monkeypatch.setattr(web_server, "_complaints", set())
    answers: list[bytes] = []
    with closing(Opened(options(TOKEN, ANYWHERE))) as opened:
        before = threading.active_count()

        def attack(seed: int) -> None:
            draw = random.Random(seed)
            for _ in range(HOSTILE_REQUESTS // 8):
                answers.append(send_and_leave(opened.port, hostile_request(draw), draw))

        attackers = [threading.Thread(target=attack, args=(seed,)) for seed in range(8)]
        with FakeStream(opened.control, opened.sink, 20.0):
            for attacker in attackers:
                attacker.start()
            for attacker in attackers:
                attacker.join(120)
            assert not any(attacker.is_alive() for attacker in attackers)
            bearer = f"Authorization: Bearer {TOKEN}"
            assert get(opened.port, "/api/status", bearer).status == 200
            assert get(opened.port, "/", bearer).status == 200
            assert get(opened.port, "/cameras/gate/snapshot.jpg", bearer).status == 200
        state = opened.view._server._server.server_state
        wait_until(lambda: not state.connections, "all connections are closed")
        assert threading.active_count() <= before + 8  # asyncio's helpers
        assert opened.control.score == 0.3
    assert len(answers) == HOSTILE_REQUESTS
    for answer in answers:
        assert reply_from(answer).status in {0, 303, 400, 401, 403, 404, 405, 408, 413, 200, 503}
        assert b"root:" not in answer
        assert TOKEN.encode() not in answer
        assert b"Traceback" not in answer
    granted = [answer for answer in answers if reply_from(answer).status == 200]
    assert all(b"jpeg" not in answer and b"cornernet" not in answer for answer in granted)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1  # the address at the start
    assert lines[0].startswith("web view: http://")


def test_no_secret_in_any_answer(guarded: Opened) -> None:
    bearer = f"Authorization: Bearer {TOKEN}"
    for path in ("/", "/api/status", "/login", "/metrics", "/healthz", "/x", f"/x?token={TOKEN}"):
        answer = get(guarded.port, path, bearer)
        assert TOKEN not in answer.head
        assert TOKEN.encode() not in answer.body
    assert exchange(guarded.port, f"{TOKEN}\r\n\r\n".encode()).status == 400


def test_assets_are_part_of_the_package() -> None:
    folder = Path(web_server.__file__).with_name("web_assets")
    assert {"index.html", "login.html", "app.js", "style.css"} <= {f.name for f in folder.iterdir()}
