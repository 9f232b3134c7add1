"""Opens the web view, so that nobody else needs its libraries."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import UsageError
from runtime.options_web import NEW_TOKEN, ServeAddress, WebOptions
from runtime.stream_status import StreamControl
from runtime.web_access import Access, AccessGate, Token, token_text
from runtime.web_pictures import PictureOptions, WebSink
from runtime.zones import Line, Zone

if TYPE_CHECKING:
    from runtime.web_server import WebServer


def web_sink(options: WebOptions) -> WebSink | None:
    """Return the sink that the web view takes its pictures from; None without ``--serve``."""
    if options.serve is None:
        return None
    return WebSink(PictureOptions(options.serve_fps, options.serve_width, options.serve_quality))


@dataclass(frozen=True)
class OpenWebView:
    """A web view that answers.

    Attributes:
        address: Where it listens, with the port that the system chose for port 0.
    """

    address: ServeAddress
    _server: WebServer
    _sink: WebSink

    @property
    def url(self) -> str:
        """What to type into a browser, without the token."""
        everywhere = self.address.host in {"0.0.0.0", "::"}
        host = socket.gethostname() if everywhere else self.address.host
        return f"http://{ServeAddress(host, self.address.port)}/"

    def close(self) -> None:
        """End all streams and stop; may be called again."""
        self._sink.close()
        self._server.close()


def open_web_server(
    options: WebOptions,
    sink: WebSink | None,
    control: StreamControl,
    places: Sequence[Zone | Line] = (),
) -> OpenWebView | None:
    """Start to answer browsers, and say on stderr where; None without ``--serve``.

    Args:
        options: What was asked for.
        sink: From ``web_sink``; it must get the stream's results.
        control: The running stream.
        places: Zones and lines, to be drawn over the pictures.

    Raises:
        UsageError: If the token is missing or too short, or the web libraries are not installed.
        OutputError: If the port is in use or the address is not this machine's.
    """
    if options.serve is None or sink is None:
        return None
    text = token_text(options)
    try:
        from runtime.web_app import WebView, build_app
        from runtime.web_server import WebServer, listen
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--serve needs the package {error.name}, which is not installed; install it: "
            "pip install -e '.[web]'"
        ) from None
    listener = listen(options.serve)
    address = ServeAddress(options.serve.host, int(listener.getsockname()[1]))
    access = Access(None if text is None else Token(text), address.port)
    app = build_app(WebView(sink, control, access, places))
    view = OpenWebView(address, WebServer(AccessGate(app, access), listener), sink)
    # A new token must be told once; any other is known to those who should know it.
    query = f"?token={text}" if options.serve_token == NEW_TOKEN else ""
    print(f"web view: {view.url}{query}", file=sys.stderr)
    return view
