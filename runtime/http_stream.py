"""A stream over HTTP that never makes its reader wait for longer than it wants."""

from __future__ import annotations

import functools
import http.client
import socket
import ssl
import time
import urllib.request
import warnings
from typing import Any

from runtime.credentials import NetworkAddress

RECEIVE_BYTES = 2**20  # all that waits: a reader that was busy shall see the newest picture


class Deadline:
    """A moment that several operations share.

    Args:
        timeout_s: From now.
    """

    def __init__(self, timeout_s: float) -> None:
        self.restart(timeout_s)

    def restart(self, timeout_s: float) -> None:
        """Set it anew, from now."""
        self._end_s = time.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Return the time until then.

        Raises:
            TimeoutError: If it is over.
        """
        remaining_s = self._end_s - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError("timed out")
        return remaining_s


class _BoundedReads:
    """Lets every receive end at the deadline: a server that sends a byte now and then, too."""

    deadline: Deadline | None = None

    def recv_into(self: Any, *arguments: Any) -> int:
        if self.deadline is not None:
            self.settimeout(self.deadline.remaining_s())
        return int(super().recv_into(*arguments))  # type: ignore[misc]


class _BoundedSocket(_BoundedReads, socket.socket):
    pass


class _BoundedTlsSocket(_BoundedReads, ssl.SSLSocket):
    pass


class _Connection(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, deadline: Deadline, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline = deadline

    def connect(self) -> None:
        super().connect()
        self.sock = _BoundedSocket(fileno=self.sock.detach())
        self.sock.deadline = self._deadline


class _TlsConnection(http.client.HTTPSConnection):
    def __init__(self, *arguments: Any, deadline: Deadline, **options: Any) -> None:
        context = ssl.create_default_context()
        context.sslsocket_class = _BoundedTlsSocket
        super().__init__(*arguments, context=context, **options)
        self._deadline = deadline

    def connect(self) -> None:
        super().connect()
        assert isinstance(self.sock, _BoundedTlsSocket)
        self.sock.deadline = self._deadline


class _Opener(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._connections = {
            "http": functools.partial(_Connection, deadline=deadline),
            "https": functools.partial(_TlsConnection, deadline=deadline),
        }

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connections["http"], req)  # type: ignore[arg-type]

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connections["https"], req)  # type: ignore[arg-type]


def open_http_stream(address: NetworkAddress, deadline: Deadline) -> http.client.HTTPResponse:
    """Send a GET request, with user and password by Digest or Basic where the server asks for them.

    No proxy is used: a camera is in the local network.

    Args:
        address: Of the stream, http or https.
        deadline: Of everything that is read, now and later: restart it before reading on.

    Returns:
        The response; read its content with ``read1(RECEIVE_BYTES)``.

    Raises:
        OSError: If there is no connection, it timed out (``TimeoutError``) or the answer is an
            error (``urllib.error.HTTPError``).
        http.client.HTTPException: If the answer is not HTTP.
        ValueError: If the server asks for another kind of login.
    """
    opener = urllib.request.OpenerDirector()
    for handler in (  # not those of build_opener: a redirection must not lead to a file
        _Opener(deadline),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    if address.user is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, address.location, address.user, address.password or "")
        opener.add_handler(urllib.request.HTTPDigestAuthHandler(passwords))
        opener.add_handler(urllib.request.HTTPBasicAuthHandler(passwords))
        # Such cameras are usual, and work. Not catch_warnings, which is not safe among threads.
        warnings.filterwarnings("ignore", "Basic Auth Realm was unquoted", UserWarning)
    response: http.client.HTTPResponse = opener.open(
        address.location, timeout=deadline.remaining_s()
    )
    return response
