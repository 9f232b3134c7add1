"""Stands between a camera and its viewer and damages what the camera sends."""

from __future__ import annotations

import random
import re
import socket
import threading
from types import TracebackType

RTP_HEADER_BYTES = 14  # RTP's twelve, and the kind of the H.264 unit: what follows is the picture
DOLLAR = 0x24  # begins a packet of media between the texts of RTSP


class FlippingProxy:
    """Flips bits in the media packets of an RTSP connection over TCP; a context manager.

    Args:
        port: Of the server on 127.0.0.1.
        share: Of the packets that get one wrong bit, from 0 to 1; may be changed at any time.
        seed: Of the random numbers.

    Attributes:
        port: Where it listens.
        flipped: How many packets were damaged.
    """

    def __init__(self, port: int, share: float, seed: int = 0) -> None:
        self.share = share
        self.flipped = 0
        self._server_port = port
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Cut all connections."""
        for open_socket in (self._listener, *self._sockets):
            _shut(open_socket)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                viewer, _ = self._listener.accept()
                camera = socket.create_connection(("127.0.0.1", self._server_port), 10)
            except OSError:  # closed
                return
            self._sockets += [viewer, camera]
            for work in ((self._forward, viewer, camera), (self._damage, camera, viewer)):
                self._threads.append(threading.Thread(target=work[0], args=work[1:], daemon=True))
                self._threads[-1].start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        _shut(target)

    def _damage(self, source: socket.socket, target: socket.socket) -> None:
        waiting = bytearray()
        try:
            while data := source.recv(65536):
                waiting += data
                while size := _first_message_bytes(waiting):
                    target.sendall(self._flip(waiting[:size]))
                    del waiting[:size]
        except OSError:
            pass
        _shut(target)

    def _flip(self, message: bytearray) -> bytearray:
        start = 4 + RTP_HEADER_BYTES
        is_media = message[0] == DOLLAR and message[1] == 0 and len(message) > start
        if is_media and self._random.random() < self.share:
            self.flipped += 1
            message[self._random.randrange(start, len(message))] ^= 1 << self._random.randrange(8)
        return message

    def __enter__(self) -> FlippingProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _first_message_bytes(data: bytearray) -> int:
    """Return the length of the first whole message, 0 if there is none yet."""
    if len(data) < 4:
        return 0
    if data[0] == DOLLAR:
        size = 4 + int.from_bytes(data[2:4], "big")
    else:
        head, end, _ = bytes(data).partition(b"\r\n\r\n")
        if not end:
            return 0
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        size = len(head) + 4 + (int(length.group(1)) if length else 0)
    return size if len(data) >= size else 0


def _shut(open_socket: socket.socket) -> None:
    try:
        open_socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    open_socket.close()
