"""Answers Prometheus over HTTP, and lets nobody who asks disturb the stream."""

from __future__ import annotations

import io
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from runtime.errors import UsageError
from runtime.options_metrics import MetricsOptions
from runtime.options_web import ServeAddress
from runtime.stream_status import StreamControl

REQUEST_TIMEOUT_S = 5.0  # longest silence within a request; Prometheus sends all of it at once
MOST_CLIENTS = 16  # at once; a Prometheus or two need one each


class MetricsServer:
    """Listens until it is closed.

    Args:
        address: Where; with port 0 the system chooses.
        control: The stream whose figures are wanted.
        make_app: Makes the WSGI application that has them.

    Attributes:
        port: On which it listens.

    Raises:
        UsageError: If it cannot listen there.
    """

    def __init__(
        self,
        address: ServeAddress,
        control: StreamControl,
        make_app: Callable[[StreamControl], Callable[..., Any]],
    ) -> None:
        try:
            self._server = _server_at(address)
        except OSError as error:
            raise UsageError(
                f"--metrics {address} cannot listen ({error.strerror or error}); expected a free "
                "port of an address of this machine; choose another, or end what uses it"
            ) from None
        self._server.set_app(make_app(control))
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; may be called again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def open_metrics_server(
    options: MetricsOptions, control: StreamControl, report: Callable[[str], None]
) -> MetricsServer | None:
    """Return the server that the options ask for, or None.

    Args:
        options: Where to listen.
        control: The stream.
        report: Takes a line for the user.

    Raises:
        UsageError: If it cannot listen there, or prometheus_client is not installed.
    """
    if options.metrics is None:
        return None
    try:
        from runtime.metrics import metrics_app
    except ImportError as error:
        raise UsageError(
            f"--metrics needs prometheus_client, which is not installed ({error}); "
            "pip install -e '.[metrics]'"
        ) from None
    server = MetricsServer(options.metrics, control, metrics_app)
    if not options.metrics.is_loopback:
        report(
            f"--metrics {options.metrics} can be read by everybody who reaches this address, "
            "without a password: names of cameras, lines and zones, and figures; no pictures"
        )
    return server


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each client, up to a number; none of them outlives the program."""

    daemon_threads = True
    request_queue_size = 4 * MOST_CLIENTS  # those beyond the first few are hung up on at once
    block_on_close = False  # a client that is slow does not delay the end

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily) -> None:
        self.address_family = family
        self._free = threading.BoundedSemaphore(MOST_CLIENTS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without the question to a name server that ``HTTPServer`` asks."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or, if too many others are being answered, not at all."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, in the thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that breaks off or sends nonsense is its own problem."""


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def get_stderr(self) -> TextIO:
        return io.StringIO()  # as above

    def log_message(self, format: str, *_arguments: Any) -> None:
        """Keep no log of requests."""


def _server_at(address: ServeAddress) -> _Server:
    family, _, _, _, place = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return _Server((str(place[0]), int(place[1])), family)
