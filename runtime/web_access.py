"""Who may use the web view: tokens, and what a browser must not be talked into.

Plain ASGI and standard library only, so that every answer, errors included, passes through here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from runtime.errors import UsageError
from runtime.options_web import NEW_TOKEN, WebOptions

TOKEN_LENGTH = 16  # letters; at thousands of guesses a second, nobody finds one in a lifetime
COOKIE_AGE_S = 30 * 24 * 3600
TOKEN_KEY = "token"  # of the query
# What needs no token: whether the stream is well, which says nothing else, and the page to log in.
OPEN_PATHS = frozenset({"/healthz", "/login", "/login.js", "/style.css", "/icon.svg"})
CHANGING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        b"form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Token:
    """The secret that viewers must know; its text never appears in a representation.

    Args:
        text: At least 16 printable ASCII letters without spaces.
    """

    def __init__(self, text: str) -> None:
        self._digest = hashlib.sha256(text.encode()).digest()
        # A browser keeps this and not the token: who steals it cannot use it elsewhere. It stays
        # the same over restarts, so that viewers stay logged in.
        self.cookie = hmac.new(text.encode(), b"cornerrt web view", hashlib.sha256).hexdigest()

    def matches(self, text: str) -> bool:
        """Compare, in a time that says nothing about the token or its length."""
        given = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(given, self._digest)

    def matches_cookie(self, text: str) -> bool:
        """Compare with what ``cookie`` is."""
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.cookie.encode())


@dataclass(frozen=True)
class Access:
    """Who may look.

    Attributes:
        token: What viewers must know; None if everybody on this machine may look.
        port: Cookies are shared by all ports of a host, so their name contains it.
    """

    token: Token | None
    port: int

    @property
    def cookie_name(self) -> str:
        """Name of the cookie that browsers keep."""
        return f"cornerrt_{self.port}"

    def cookie_header(self) -> str:
        """Return the value of ``Set-Cookie`` that logs a browser in; needs a token."""
        assert self.token is not None
        return (
            f"{self.cookie_name}={self.token.cookie}; Path=/; Max-Age={COOKIE_AGE_S}; HttpOnly; "
            "SameSite=Strict"
        )


def token_text(options: WebOptions) -> str | None:
    """Return the token that was asked for; None without one.

    Raises:
        UsageError: If it is not there, or too short; the message does not contain it.
    """
    if options.serve_token == NEW_TOKEN:
        return secrets.token_urlsafe(24)
    if options.serve_token_file is not None:
        return _checked(_read_token(options.serve_token_file), "--serve-token-file")
    text = options.serve_token
    if text is not None and text.startswith("${") and text.endswith("}"):
        name = text[2:-1]
        text = os.environ.get(name)
        if text is None:
            raise UsageError(
                f"--serve-token names the environment variable {name}, which is not set; set it"
            )
    return None if text is None else _checked(text, "--serve-token")


@dataclass(frozen=True)
class Refusal:
    """An answer in place of the application's.

    Attributes:
        status: Of the answer.
        text: One line; empty for none.
        headers: Names in lower case, and values.
    """

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class AccessGate:
    """Lets requests through to an application, or answers them itself.

    Without a token, only requests that name this machine as their host pass: a page of somebody
    else, whose name was made to point here, does not. With a token, it must come as a cookie, as
    ``Authorization: Bearer``, as the password of ``Authorization: Basic``, or once in the address
    as ``?token=``, which is answered with the cookie and the address without it. Requests that
    change something must come from a page of this very host.

    Args:
        application: What to protect.
        access: Who may look.
    """

    def __init__(self, application: Application, access: Access) -> None:
        self._application = application
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._application(scope, receive, send_safely)
        else:
            await _answer(send_safely, refusal)

    def _refusal(self, scope: Scope) -> Refusal | None:
        """Return how to answer a request that may not pass; None for one that may."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        token = self._access.token
        if token is None and not _names_this_machine(headers.get(b"host", "")):
            return Refusal(403, "the Host header names another machine; expected localhost")
        if scope["method"] in CHANGING_METHODS and not _is_own_origin(headers):
            return Refusal(403, "the request comes from a page of another host")
        if token is None:
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for key, value in query if key == TOKEN_KEY]
        if given and scope["method"] == "GET" and token.matches(given[0]):
            rest = [(key, value) for key, value in query if key != TOKEN_KEY]
            cookie = (b"set-cookie", self._access.cookie_header().encode("ascii"))
            return Refusal(303, "", (_location(scope["path"], rest), cookie))
        if scope["path"] in OPEN_PATHS or self._is_known(token, headers):
            return None
        return _login_wanted(scope["path"], is_wrong=bool(given))

    def _is_known(self, token: Token, headers: Mapping[bytes, str]) -> bool:
        for part in headers.get(b"cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._access.cookie_name and token.matches_cookie(value):
                return True
        scheme, _, value = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token.matches(value.strip())
        if scheme.lower() == "basic":
            return token.matches(_basic_password(value.strip()))
        return False


def _checked(text: str, option: str) -> str:
    if len(text) < TOKEN_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(
            f"{option} gives a token of {len(text)} letters; expected at least {TOKEN_LENGTH} "
            "printable ASCII letters without spaces; make one with: openssl rand -hex 16"
        )
    return text


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise UsageError(
            f"--serve-token-file {path}: {reason}; expected a file that holds the token"
        ) from None


def _names_this_machine(host: str) -> bool:
    """Return whether a Host header is a loopback name; any port, since ports get forwarded."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name.lower() in {"localhost", "127.0.0.1", "[::1]"}


def _is_own_origin(headers: Mapping[bytes, str]) -> bool:
    """Return whether a request comes from a page of this host, or from no page at all."""
    if headers.get(b"sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = headers.get(b"origin")
    if origin is None:  # a program: browsers always say it with such methods
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get(b"host", "").lower() != ""
    except ValueError:
        return False


def _basic_password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _location(path: str, query: list[tuple[str, str]]) -> tuple[bytes, bytes]:
    # Never two slashes at the start: browsers take those for another host.
    target = "/" + quote(path.lstrip("/")) + ("?" + urlencode(query) if query else "")
    return b"location", target.encode("ascii")


def _login_wanted(path: str, is_wrong: bool) -> Refusal:
    if path == "/" and not is_wrong:
        return Refusal(303, "", ((b"location", b"/login"),))
    # Players ask for a password when told so; a browser would do it in the middle of the page.
    scheme = b"Basic" if path.startswith("/cameras/") else b"Bearer"
    text = "the token is wrong" if is_wrong else "a token is needed; see --serve-token"
    return Refusal(401, text, ((b"www-authenticate", scheme + b' realm="CornerRT"'),))


async def _answer(send: Send, refusal: Refusal) -> None:
    body = f"{refusal.text}\n".encode() if refusal.text else b""
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *refusal.headers,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
