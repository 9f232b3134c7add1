"""A web client that does exactly what a test says, over a plain socket."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Reply:
    """What a server sent until it closed the connection."""

    status: int
    head: str
    body: bytes


def connect(port: int, read_buffer: int | None = None) -> socket.socket:
    """Return a connection; a small read buffer makes a viewer that is soon behind."""
    connection = socket.socket()
    if read_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, read_buffer)
    connection.settimeout(TIMEOUT_S)
    connection.connect(("127.0.0.1", port))
    return connection


def get(port: int, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> Reply:
    """Send one request and read all of the answer."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return exchange(port, "\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def exchange(port: int, data: bytes) -> Reply:
    """Send bytes and read until the server closes."""
    with closing(connect(port)) as connection:
        connection.sendall(data)
        return reply_from(read_all(connection))


def reply_from(data: bytes) -> Reply:
    """Take an answer apart; status 0 where there is none."""
    head, _, body = data.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    is_status = len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit()
    return Reply(int(words[1]) if is_status else 0, head.decode("latin-1"), body)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes, or cuts the connection off."""
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
    except ConnectionError:
        pass
    return data


def open_stream(
    port: int, path: str = "/stream.mjpg", read_buffer: int | None = None
) -> socket.socket:
    """Ask for a stream and return the connection to read it from."""
    connection = connect(port, read_buffer)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection
