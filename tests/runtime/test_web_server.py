"""The server in its thread: ports, patience with clients, and one line per mistake."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the web view's libraries: pip install -e '.[web]'")

from runtime import web_server
from runtime.errors import OutputError
from runtime.options_web import ServeAddress
from runtime.thread_priority import NICENESS
from runtime.web_server import WebServer, listen
from tests.fakes.web_client import connect, exchange, get, open_stream, read_all

LOOPBACK = ServeAddress("127.0.0.1", 0)
LARGE = b"x" * 2**20


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/broken":
        raise ValueError("one\ntwo")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while scope["path"] == "/endless":  # and does not ask whether the viewer has left
        await send({"type": "http.response.body", "body": LARGE, "more_body": True})
        await asyncio.sleep(0.001)
    if scope["path"] == "/silent":
        await asyncio.sleep(2 * web_server.PATIENCE_S + 0.5)
    await send({"type": "http.response.body", "body": b"well"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(web_server, "PATIENCE_S", 0.3)
    monkeypatch.setattr(web_server, "_complaints", set())
    listener = listen(LOOPBACK)
    server = WebServer(application, listener)
    yield int(listener.getsockname()[1])
    server.close()
    server.close()


def test_it_answers_until_it_is_closed() -> None:
    listener = listen(LOOPBACK)
    port = int(listener.getsockname()[1])
    server = WebServer(application, listener)
    assert get(port, "/").body.endswith(b"well\r\n0\r\n\r\n")
    server.close()
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    listen(ServeAddress("127.0.0.1", port)).close()  # the port is free again


@pytest.mark.skipif(sys.platform != "linux", reason="a niceness is a thread's on Linux only")
def test_it_gives_way_to_the_network() -> None:
    seen: list[int] = []

    async def looking(scope: Any, receive: Any, send: Any) -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        await application(scope, receive, send)

    listener = listen(LOOPBACK)
    server = WebServer(looking, listener)
    get(int(listener.getsockname()[1]), "/")
    server.close()
    assert seen == [max(NICENESS, os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))]


def test_a_port_in_use_is_one_clear_error() -> None:
    with closing(listen(LOOPBACK)) as listener:
        port = int(listener.getsockname()[1])
        with pytest.raises(OutputError, match=f"another program listens on port {port}; choose"):
            listen(ServeAddress("127.0.0.1", port))


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(OutputError, match="expected an address of this machine"):
        listen(ServeAddress(host, 0))


def test_a_port_for_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(OutputError, match="needs root; choose one from 1024"):
        listen(ServeAddress("127.0.0.1", 80))


@pytest.mark.parametrize(
    "beginning", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x"]
)
def test_who_never_finishes_a_request_is_cut_off(port: int, beginning: bytes) -> None:
    with closing(connect(port)) as connection:
        connection.sendall(beginning)
        assert read_all(connection) == b""


def test_who_drips_a_request_is_cut_off(port: int) -> None:
    with closing(connect(port)) as connection, pytest.raises(ConnectionError):
        connection.settimeout(0.05)
        for _ in range(600):
            connection.sendall(b"X-Drip: 1\r\n" if _ else b"GET / HTTP/1.1\r\n")
            try:
                if connection.recv(100) == b"":
                    raise ConnectionError
            except TimeoutError:
                continue


def test_a_viewer_that_never_reads_is_dropped_and_delays_nobody(port: int) -> None:
    with closing(open_stream(port, "/endless", read_buffer=4096)) as connection:
        assert get(port, "/").status == 200
        received = len(read_all_late(connection))
        assert 0 < received < 2**23


def read_all_late(connection: socket.socket) -> bytes:
    """Read only after the server has lost its patience."""
    time.sleep(4 * web_server.PATIENCE_S)
    return read_all(connection)


def test_a_quiet_answer_is_waited_for(port: int) -> None:
    assert get(port, "/silent").body.endswith(b"well\r\n0\r\n\r\n")


def test_a_mistake_of_ours_is_one_line(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        assert get(port, "/broken").status == 500
    assert capfd.readouterr().err == "web view: ValueError: one two\n"


def test_what_clients_do_wrong_is_no_line_at_all(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert exchange(port, b"\0\1\2\3 nonsense\r\n\r\n").status == 400
    websocket = ("Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Key: x")
    assert get(port, "/", *websocket).status == 200
    assert capfd.readouterr().err == ""


def test_the_roots_logging_stays_as_it_is(port: int) -> None:
    get(port, "/broken")
    assert not logging.getLogger("uvicorn.error").handlers


def test_huge_headers_are_refused(port: int) -> None:
    data = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n"
    with closing(connect(port)) as connection:
        try:
            connection.sendall(data)
        except ConnectionError:
            return
        # Cut off in the middle, the answer may be lost, too.
        assert b" 200 " not in read_all(connection)[:20]


def test_closing_does_not_wait_for_endless_answers() -> None:
    listener = listen(LOOPBACK)
    server = WebServer(application, listener)
    with closing(open_stream(int(listener.getsockname()[1]), "/endless")):
        server.close()
    assert not server._thread.is_alive()


def test_a_server_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web_server, "_complaints", set())
    monkeypatch.setattr(web_server.uvicorn.Config, "load", lambda self: 1 / 0)
    with closing(listen(LOOPBACK)) as listener, pytest.raises(OutputError, match="did not start"):
        WebServer(application, listener)
    assert "web view ended: ZeroDivisionError" in capfd.readouterr().err
