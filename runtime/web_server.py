"""Runs the web view in a thread of its own, and protects it from clients that hold it up."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
import threading
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.errors import OutputError
from runtime.options_web import ServeAddress
from runtime.thread_priority import give_way
from runtime.web_access import Application

MOST_CONNECTIONS = 128
MOST_HEADER_BYTES = 16 * 1024
KEEP_ALIVE_S = 10
# Slow networks send a request, and take up a picture, in far less.
PATIENCE_S = 10.0
# What the system holds back for a viewer is seconds old when it arrives over a slow network; this
# is enough for 5 MB/s at 50 ms.
SEND_BUFFER_BYTES = 256 * 1024
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
MOST_COMPLAINTS = 100


class PatientProtocol(H11Protocol):
    """Ends connections on which nothing happened for a while: no request, or nobody who reads.

    uvicorn itself waits without a limit for the first request and for a viewer that never reads.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _LOGGER
        self._before: tuple[object, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to watch."""
        super().connection_made(transport)
        self._watch = self.loop.call_later(PATIENCE_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to watch."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        now = self.cycle, self.transport.get_write_buffer_size()
        if now == self._before and (self.flow.write_paused or not is_answering):
            self.transport.abort()
            return
        self._before = now
        self._watch = self.loop.call_later(PATIENCE_S, self._look)


class WebServer:
    """A web server in a thread.

    Args:
        application: What answers.
        listener: From ``listen``; closed with the server.

    Raises:
        OutputError: If it does not start.
    """

    def __init__(self, application: Application, listener: socket.socket) -> None:
        config = uvicorn.Config(
            application,
            http=PatientProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name="web view", daemon=True)
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S) or self._has_failed:
            raise OutputError("--serve: the web server did not start; see the line above")

    def close(self) -> None:
        """Stop; streams that have not ended by then are cut off. May be called again."""
        self._server.should_exit = True
        self._thread.join(1.0)
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut_off)
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        give_way()
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._has_failed = True
            _complain(f"web view ended: {type(error).__name__}: {error}")
        finally:
            self._listener.close()
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_complain_of_context)
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        while not (self._server.started or serving.done()):
            await asyncio.sleep(0.01)
        if not serving.done():
            self._started.set()
        await serving

    def _cut_off(self) -> None:
        for connection in tuple(self._server.server_state.connections):
            connection.transport.abort()
        for task in tuple(self._server.server_state.tasks):
            task.cancel()


def listen(address: ServeAddress) -> socket.socket:
    """Take the port.

    Raises:
        OutputError: If another program has it, or the address is not this machine's.
    """
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, socket_address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OutputError(_listen_message(address, error)) from None
    try:
        if sys.platform != "win32":  # there it would take the port from another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Before listening: connections inherit it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.bind(socket_address)
        listener.listen(MOST_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise OutputError(_listen_message(address, error)) from None
    return listener


def _listen_message(address: ServeAddress, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"--serve {address}: another program listens on port {address.port}; choose another, "
            f"or see which: ss -ltnp 'sport = :{address.port}'"
        )
    if error.errno == errno.EACCES:
        return f"--serve {address}: the port needs root; choose one from 1024 on, such as 8080"
    return (
        f"--serve {address}: {error.strerror or error}; expected an address of this machine, such "
        "as 127.0.0.1, or 0.0.0.0 for all of them"
    )


class _OneLine(logging.Handler):
    """Turns what uvicorn logs, with its traceback, into one line."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        # Cut off at the end; or the client broke the protocol while its answer was being made.
        if isinstance(error, asyncio.CancelledError | h11.LocalProtocolError):
            return
        text = record.getMessage().strip()
        _complain(f"web view: {text}" if error is None else _error_line(error))


_LOGGER = logging.getLogger("cornerrt.web")
_LOGGER.setLevel(logging.ERROR)  # below: what clients do wrong
_LOGGER.propagate = False
_LOGGER.addHandler(_OneLine())
_complaints: set[str] = set()


def _complain_of_context(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    _complain(f"web view: {context['message']}" if error is None else _error_line(error))


def _error_line(error: BaseException) -> str:
    return f"web view: {type(error).__name__}: {error}"


def _complain(line: str) -> None:
    """Print a line on stderr; each only once, so that no client can fill a log."""
    if line not in _complaints and len(_complaints) < MOST_COMPLAINTS:
        _complaints.add(line)
        print(" ".join(line.split()), file=sys.stderr)
