"""Viewers of one MJPEG stream over plain sockets; started by ``streaming_viewers`` as a process.

Usage: viewer_process.py PORT PATH COUNT. It prints "ready" when every viewer has got a picture,
looks on until standard input has a line or ends, and prints how many pictures each has got.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys

PART = b"Content-Type: image/jpeg"  # once in each part's header
PIECE_BYTES = 1 << 16
TIMEOUT_S = 20.0


class Viewer:
    """Counts the pictures that one connection brings, and drops them.

    Attributes:
        connection: Ready to be read.
        pictures: So far.
    """

    def __init__(self, port: int, path: str) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.pictures = 0
        self._tail = b""

    def read(self) -> bool:
        """Take what has come; returns whether the stream goes on."""
        piece = self.connection.recv(PIECE_BYTES)
        data = self._tail + piece
        self.pictures += data.count(PART)
        self._tail = data[-(len(PART) - 1) :]  # too short to be counted twice
        return bool(piece)


def main() -> int:
    """Look on until told to stop; returns 1 if no picture comes."""
    os.nice(19)  # viewers have machines of their own: the stream must not pay for what they do
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    viewers = [Viewer(port, path) for _ in range(count)]
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        for viewer in viewers:
            selector.register(viewer.connection, selectors.EVENT_READ, viewer)
        is_ready = False
        while events := selector.select(TIMEOUT_S):
            for key, _ in events:
                if key.data is None:
                    print(*(viewer.pictures for viewer in viewers))
                    return 0
                if not key.data.read():
                    selector.unregister(key.fileobj)
            if not is_ready and all(viewer.pictures for viewer in viewers):
                is_ready = True
                print("ready", flush=True)
    print("no picture came", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
