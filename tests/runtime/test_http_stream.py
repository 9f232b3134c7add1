"""HTTP with one deadline for everything, and logins."""

from __future__ import annotations

import base64
import http.client
import itertools
import time
import urllib.error
from collections.abc import Iterator

import pytest

from runtime.credentials import parse_address
from runtime.http_stream import Deadline, open_http_stream
from tests.fakes.mjpeg_server import Answer, MjpegServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def always(*pieces: bytes, pause_s: float = 0.0) -> Answer:
    def answer(_request: bytes) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            time.sleep(pause_s)

    return answer


def fetch(server: MjpegServer, login: str = "", timeout_s: float = 20.0) -> bytes:
    address = parse_address(server.address.replace("://", f"://{login}"))
    with open_http_stream(address, Deadline(timeout_s)) as response:
        return response.read1(100)


def test_a_deadline_runs_out_and_is_restarted() -> None:
    deadline = Deadline(10)
    assert 0 < deadline.remaining_s() <= 10
    deadline.restart(0)
    with pytest.raises(TimeoutError):
        deadline.remaining_s()
    deadline.restart(20)
    assert deadline.remaining_s() > 10


def test_content_arrives() -> None:
    with MjpegServer(always(OK)) as server:
        assert fetch(server) == b"hello"
        assert b"Authorization" not in server.requests[0]


def login_with(challenge: str) -> Answer:
    def answer(request: bytes) -> Iterator[bytes]:
        if b"Authorization:" in request:
            yield OK
        else:
            yield f"HTTP/1.1 401 No\r\nWWW-Authenticate: {challenge}\r\n\r\n".encode()

    return answer


def test_a_password_is_sent_by_basic_only_when_asked_for() -> None:
    with MjpegServer(login_with('Basic realm="camera"')) as server:
        assert fetch(server, "ad%20min:p%40ss@") == b"hello"
        assert b"Authorization" not in server.requests[0]
        assert b"Basic " + base64.b64encode(b"ad min:p@ss") in server.requests[1]


def test_a_realm_without_quotes_is_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    with MjpegServer(login_with("Basic realm=camera")) as server:
        assert fetch(server, "admin:geheim@") == b"hello"
    assert [str(warning.message) for warning in recwarn] == []


def test_by_digest_the_password_is_not_sent_at_all() -> None:
    with MjpegServer(login_with('Digest realm="camera", nonce="abc", qop="auth"')) as server:
        assert fetch(server, "admin:geheim@") == b"hello"
        assert b'username="admin"' in server.requests[1]
        assert b"geheim" not in server.requests[1]


@pytest.mark.parametrize("login", ["", "admin:geheim@"])
@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_a_refused_login_is_tried_a_few_times_only(login: str, scheme: str) -> None:
    challenge = f'HTTP/1.1 401 No\r\nWWW-Authenticate: {scheme} realm="x", nonce="1"\r\n\r\n'
    with MjpegServer(always(challenge.encode())) as server:
        with pytest.raises(urllib.error.HTTPError, match="401") as caught:
            fetch(server, login)
        assert "geheim" not in str(caught.value)
        assert len(server.requests) < 10


def test_a_redirection_is_followed_but_never_to_a_file() -> None:
    with MjpegServer(always(OK)) as target:
        there = f"HTTP/1.1 302 x\r\nLocation: {target.address}\r\n\r\n".encode()
        with MjpegServer(always(there)) as server:
            assert fetch(server) == b"hello"
    with MjpegServer(always(b"HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n")) as server:
        with pytest.raises(urllib.error.HTTPError):
            fetch(server)


def test_a_password_does_not_follow_to_another_camera() -> None:
    with MjpegServer(login_with('Basic realm="camera"')) as target:
        there = f"HTTP/1.1 302 x\r\nLocation: {target.address}\r\n\r\n".encode()
        with MjpegServer(always(there)) as server, pytest.raises(urllib.error.HTTPError):
            fetch(server, "admin:geheim@")
        assert not any(b"Authorization" in request for request in target.requests)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (always(b""), http.client.HTTPException),
        (always(b"SSH-2.0-camera\r\n"), http.client.HTTPException),
        (always(b"\xff" * 100_000), http.client.HTTPException),
        (always(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 10_000), http.client.HTTPException),
        (always(b"HTTP/1.1 404 Not Found\r\n\r\n"), OSError),
        (always(b"HTTP/1.1 401 x\r\nWWW-Authenticate: Odd realm=x\r\n\r\n"), (OSError, ValueError)),
    ],
)
def test_what_is_no_stream_is_an_error(
    answer: Answer, error: type[Exception] | tuple[type[Exception], ...]
) -> None:
    with MjpegServer(answer) as server, pytest.raises(error):
        fetch(server)


def test_a_camera_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError, match="refused"):
        open_http_stream(parse_address("http://127.0.0.1:1/"), Deadline(20))


@pytest.mark.parametrize(
    "pieces",
    [
        [b""] * 100,  # accepts and says nothing
        [b"HTTP/1.1 200 OK\r\n", *[b"X"] * 100],  # a letter of a header now and then
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b""] * 100],  # headers and then nothing
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"0"] * 100],
    ],
    ids=["silent", "drips headers", "no content", "drips a chunk's length"],
)
def test_a_server_that_drips_ends_at_the_deadline(pieces: list[bytes]) -> None:
    with MjpegServer(always(*itertools.islice(pieces, 100), pause_s=0.1)) as server:
        started = time.monotonic()
        with pytest.raises(OSError, match="timed out"):
            fetch(server, timeout_s=0.5)
        assert time.monotonic() - started < 8  # it would go on for ten
