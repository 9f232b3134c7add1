"""Who gets in with what, and what a browser cannot be talked into."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import UsageError
from runtime.options_web import ServeAddress, WebOptions
from runtime.web_access import Access, AccessGate, Token, token_text
from tests.fakes.asgi import Answer, request

TOKEN = "correct-horse-battery-staple"
ACCESS = Access(Token(TOKEN), 8080)
COOKIE = {"cookie": f"other=1; cornerrt_8080={ACCESS.token.cookie}"}  # type: ignore[union-attr]


async def application(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"inside"})


OPEN = AccessGate(application, Access(None, 8080))
GUARDED = AccessGate(application, ACCESS)


def options(token: str | None, file: Path | None = None) -> WebOptions:
    return WebOptions(ServeAddress("127.0.0.1", 0), token, file, 15.0, 1280, 80)


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.0.0.1", "[::1]", "[::1]:9000"],
)
def test_without_a_token_this_machine_passes(host: str) -> None:
    assert request(OPEN, "/", headers={"host": host}).body == b"inside"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example:localhost",
        "[::1].evil.example",
        "0.0.0.0:8080",
    ],
)
def test_a_name_that_was_made_to_point_here_does_not(host: str) -> None:
    answer = request(OPEN, "/api/status", headers={"host": host})
    assert answer.status == 403
    assert b"Host header" in answer.body


def test_with_a_token_any_host_name_may_be_used() -> None:
    assert request(GUARDED, "/x", headers={"host": "box.local", **COOKIE}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        COOKIE,
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer  {TOKEN} "},
        basic(TOKEN),
    ],
)
def test_who_knows_the_token_passes(headers: dict[str, str]) -> None:
    assert request(GUARDED, "/api/status", headers=headers).body == b"inside"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cookie": "cornerrt_8080="},
        {"cookie": f"cornerrt_8080={TOKEN}"},  # the token itself is no cookie
        {"cookie": f"cornerrt_9999={ACCESS.token.cookie}"},  # type: ignore[union-attr]
        {"cookie": "cornerrt_8080=\xff\xfe"},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": "Bearer \xe9\xff"},
        {"authorization": f"Digest {TOKEN}"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic /////w=="},
        basic("wrong"),
        basic(""),
    ],
)
def test_who_does_not_is_refused(headers: dict[str, str]) -> None:
    answer = request(GUARDED, "/api/status", headers=headers)
    assert answer.status == 401
    assert answer.header("www-authenticate").startswith("Bearer")
    assert TOKEN.encode() not in answer.body


def test_players_are_asked_for_a_password() -> None:
    answer = request(GUARDED, "/cameras/gate/stream.mjpg")
    assert (answer.status, answer.header("www-authenticate")) == (401, 'Basic realm="CornerRT"')


def test_a_browser_is_sent_to_the_page_to_log_in() -> None:
    answer = request(GUARDED, "/")
    assert (answer.status, answer.header("location")) == (303, "/login")
    assert request(GUARDED, "/login").body == b"inside"
    assert request(GUARDED, "/healthz").body == b"inside"


def test_the_token_in_the_address_becomes_a_cookie() -> None:
    answer = request(GUARDED, f"/?camera=a%20b&token={TOKEN}")
    assert (answer.status, answer.header("location")) == (303, "/?camera=a+b")
    cookie = answer.header("set-cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert_no_token(answer)
    given = {"cookie": cookie.partition(";")[0]}
    assert request(GUARDED, "/", headers=given).body == b"inside"


@pytest.mark.parametrize("path", ["//evil.example/", "/%2Fevil.example/", "/%5Cevil.example"])
def test_the_redirect_stays_here(path: str) -> None:
    location = request(GUARDED, f"{path}?token={TOKEN}").header("location")
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize("query", ["token=wrong", "token=", f"token={TOKEN}x", "token=%ff%00"])
def test_a_wrong_token_in_the_address(query: str) -> None:
    answer = request(GUARDED, f"/?{query}")
    assert answer.status == 401
    assert b"wrong" in answer.body
    assert not answer.header("set-cookie")


def test_a_line_break_in_the_address_adds_no_header() -> None:
    answer = request(GUARDED, f"/%0d%0aSet-Cookie:x=1?a=%0d%0aX:1&token={TOKEN}")
    assert all("\r" not in value and "\n" not in value for _, value in answer.headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a program
        ({"origin": "http://localhost:8080"}, 200),
        ({"origin": "https://LOCALHOST:8080"}, 200),  # behind something that adds encryption
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost:8080"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[bad"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_changes_come_from_this_host_only(headers: dict[str, str], status: int) -> None:
    for gate, known in ((OPEN, {}), (GUARDED, COOKIE)):
        answer = request(gate, "/api/score", "POST", {**known, **headers})
        assert answer.status == status


@pytest.mark.parametrize("gate", [OPEN, GUARDED])
@pytest.mark.parametrize("headers", [COOKIE, {"host": "evil.example"}, {"authorization": "x"}])
def test_every_answer_has_the_security_headers(gate: AccessGate, headers: dict[str, str]) -> None:
    answer = request(gate, "/", headers=headers)
    assert "default-src 'self'" in answer.header("content-security-policy")
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("referrer-policy") == "no-referrer"
    assert not answer.header("access-control-allow-origin")


def test_websockets_are_ignored() -> None:
    scope = {"type": "websocket"}
    with pytest.raises(StopIteration):
        GUARDED(scope, None, None).send(None)  # type: ignore[arg-type]


def test_where_the_token_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("VIEWERS", TOKEN)
    assert token_text(options(None)) is None
    assert token_text(options(TOKEN)) == TOKEN
    assert token_text(options("${VIEWERS}")) == TOKEN
    assert token_text(options(None, file)) == TOKEN
    new = token_text(options("auto"))
    assert new is not None
    assert len(new) >= 32
    assert new != token_text(options("auto"))


@pytest.mark.parametrize("text", ["short", "with spaces in the middle", "\u00fc" * 20, "a\n" * 20])
def test_a_token_that_is_too_weak(text: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    for given in (options(text), options(None, file)):
        with pytest.raises(UsageError, match="expected at least 16 printable") as raised:
            token_text(given)
        assert text not in str(raised.value)


def test_a_token_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="environment variable NOT_SET, which is not set"):
        token_text(options("${NOT_SET}"))
    with pytest.raises(UsageError, match="No such file"):
        token_text(options(None, tmp_path / "missing"))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(UsageError, match="no text"):
        token_text(options(None, binary))


def test_nothing_shows_the_token() -> None:
    assert TOKEN not in repr(ACCESS) + repr(vars(ACCESS.token)) + repr(GUARDED)
    assert TOKEN not in ACCESS.cookie_header()


def assert_no_token(answer: Answer) -> None:
    assert TOKEN not in repr(answer)
