"""Prometheus asks over HTTP, and so does everybody else."""

from __future__ import annotations

import os
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

pytest.importorskip("prometheus_client", reason="pip install -e '.[metrics]'")
from runtime import metrics_server
from runtime.errors import UsageError
from runtime.metrics_server import (
    MOST_CLIENTS,
    REQUEST_TIMEOUT_S,
    MetricsServer,
    open_metrics_server,
)
from runtime.options_metrics import MetricsOptions
from runtime.options_web import ServeAddress
from tests.fakes.mqtt_broker import wait_until
from tests.runtime.test_metrics import FakeControl, gate

ANY_PORT = ServeAddress("127.0.0.1", 0)


def serve(address: ServeAddress = ANY_PORT, lines: list[str] | None = None) -> MetricsServer:
    report = (lambda line: None) if lines is None else lines.append
    server = open_metrics_server(MetricsOptions(address), FakeControl(gate()), report)
    assert server is not None
    return server


@pytest.fixture
def server(capfd: pytest.CaptureFixture[str]) -> Iterator[MetricsServer]:
    """A server that has said nothing by the end, whoever asked."""
    with closing(serve()) as server:
        yield server
    assert capfd.readouterr() == ("", "")


def get(server: MetricsServer, path: str = "/metrics") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return bytes(answer.read())


def connect(server: MetricsServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def test_prometheus_gets_the_figures(server: MetricsServer) -> None:
    for _ in range(3):
        assert b'cornerrt_camera_results_total{camera="gate"} 90.0' in get(server)


def test_nothing_is_served_unless_asked_for() -> None:
    assert open_metrics_server(MetricsOptions(), FakeControl(), print) is None


def test_a_port_in_use_is_one_error_at_the_start(server: MetricsServer) -> None:
    with pytest.raises(UsageError, match=r"--metrics 127\.0\.0\.1:\d+ cannot listen \(Address al"):
        serve(ServeAddress("127.0.0.1", server.port))
    assert get(server)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_others_is_one_error(host: str) -> None:
    with pytest.raises(UsageError, match=r"cannot listen .* expected a free port"):
        serve(ServeAddress(host, 0))


def test_a_port_is_free_again_after_the_end() -> None:
    server = serve()
    get(server)
    server.close()
    server.close()
    with closing(serve(ServeAddress("127.0.0.1", server.port))) as again:
        assert get(again)


@pytest.mark.parametrize(("host", "is_told"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_who_listens_to_others_is_told_what_they_see(host: str, is_told: bool) -> None:
    lines: list[str] = []
    with closing(serve(ServeAddress(host, 0), lines)) as server:
        assert get(server)
    assert bool(lines) == is_told
    assert all("without a password: names of cameras" in line for line in lines)


def test_garbage_disturbs_nobody(server: MetricsServer) -> None:
    pieces = [b"\x00" * 100, b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\r\n", b"POST / HTTP/1.1\r\n\r\n"]
    pieces += [b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"GET /" + b"x" * 70_000, b""]
    for number in range(200):
        with connect(server) as client:
            piece = pieces[number % len(pieces)] if number % 3 else os.urandom(500)
            try:
                client.sendall(piece)
                client.shutdown(socket.SHUT_WR)
                client.recv(1000)
            except OSError:
                pass  # it was hung up on
    assert get(server)


def test_clients_that_do_nothing_are_let_go(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert metrics_server._Handler.timeout == REQUEST_TIMEOUT_S
    monkeypatch.setattr(metrics_server._Handler, "timeout", 0.2)
    with ExitStack() as stack:
        for _ in range(MOST_CLIENTS):
            stack.enter_context(connect(server)).sendall(b"GET /met")
        wait_until(lambda: _answers(server))


def test_no_more_clients_than_a_few_are_held(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server._Handler, "timeout", 600.0)
    before = threading.active_count()
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(3 * MOST_CLIENTS)]
        wait_until(lambda: sum(_is_hung_up(client) for client in clients) == 2 * MOST_CLIENTS)
        assert threading.active_count() <= before + MOST_CLIENTS
        assert not _answers(server)
    wait_until(lambda: _answers(server))


def test_a_client_that_never_reads_delays_no_other(server: MetricsServer) -> None:
    with connect(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert get(server)
        with connect(server) as other:
            other.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")  # and goes away
        assert get(server)


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "runtime.metrics", raising=False)
    with pytest.raises(UsageError, match=r"prometheus_client, .* pip install -e '.\[metrics\]'"):
        serve()


def _answers(server: MetricsServer) -> bool:
    try:
        return bool(get(server))
    except OSError:
        return False


def _is_hung_up(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
