"""A small HTTP server whose answers a test writes byte by byte."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType

import cv2
import numpy as np

BOUNDARY = "frame"
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary={BOUNDARY}\r\n\r\n"
Answer = Callable[[bytes], Iterable[bytes]]


class MjpegServer:
    """Answers every request with what a function yields; a context manager.

    Args:
        answer: Takes the request's head and yields the answer's bytes, piece by piece; it is
            stopped when the viewer or the server goes.

    Attributes:
        port: Where it listens on 127.0.0.1.
        requests: The heads of all requests, in order.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._start(self._accept)

    @property
    def address(self) -> str:
        """Where the stream is."""
        return f"http://127.0.0.1:{self.port}/video"

    def close(self) -> None:
        """End all answers."""
        self._stopping.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                viewer, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, viewer)

    def _serve(self, viewer: socket.socket) -> None:
        viewer.settimeout(5)
        with viewer:
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    data = viewer.recv(4096)
                    if not data:
                        return
                    request += data
                self.requests.append(request)
                for piece in self._answer(request):
                    if self._stopping.is_set():
                        return
                    viewer.sendall(piece)
            except OSError:
                pass

    def __enter__(self) -> MjpegServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def jpeg(value: int, height: int = 48, width: int = 64) -> bytes:
    """Return a picture of one grey, as JPEG."""
    image = np.full((height, width, 3), value, np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def part(content: bytes, headers: str = "Content-Type: image/jpeg\r\n") -> bytes:
    """Return one part of the stream."""
    return f"--{BOUNDARY}\r\n{headers}\r\n".encode() + content + b"\r\n"


def part_with_length(content: bytes, length: int | None = None) -> bytes:
    """Return one part that states its length, or another."""
    stated = len(content) if length is None else length
    return part(content, f"Content-Type: image/jpeg\r\nContent-Length: {stated}\r\n")


def steady(contents: Iterable[bytes], rate: float = 50.0) -> Answer:
    """Answer with a stream of these pictures at this rate, then end."""

    def answer(_request: bytes) -> Iterator[bytes]:
        yield HEAD.encode()
        for content in contents:
            yield part_with_length(content)
            time.sleep(1 / rate)

    return answer
