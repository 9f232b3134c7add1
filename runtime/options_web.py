"""Whether to show the stream in a browser, where, to whom and at which pace."""

from __future__ import annotations

import argparse
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from runtime.command_line import positive
from runtime.errors import UsageError
from runtime.option_types import add_group, number_from

LOOPBACK = "127.0.0.1"
VIEWER_FPS = 15.0  # looks fluent, at half the encoding of a camera's 30
VIEWER_WIDTH = 1280  # sharp on a phone and on a desktop's half
JPEG_QUALITY = 80  # no blocks to be seen, at less than half the bytes of 95
NEW_TOKEN = "auto"


@dataclass(frozen=True)
class ServeAddress:
    """Where the web view listens.

    Attributes:
        host: A name or a number, IPv6 without brackets.
        port: From 0, which lets the system choose.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False  # some other name: nobody knows where it points to tomorrow

    def __str__(self) -> str:
        """Return it as part of an address that browsers take."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class WebOptions:
    """The web view.

    Attributes:
        serve: Where it listens; None for no web view.
        serve_token: What viewers must know: the token itself, ``${NAME}`` of an environment
            variable, or "auto" for a new one. Not part of the representation.
        serve_token_file: A file that holds the token, instead.
        serve_fps: Most pictures per second that viewers of one camera get.
        serve_width: Widest picture they get, in pixels; smaller ones stay as they are.
        serve_quality: Of their JPEG pictures, 1 to 100.

    Raises:
        UsageError: On creation, if values contradict each other.
    """

    serve: ServeAddress | None
    serve_token: str | None = field(repr=False)
    serve_token_file: Path | None
    serve_fps: float
    serve_width: int
    serve_quality: int

    def __post_init__(self) -> None:
        """Check what argparse cannot."""
        has_token = self.serve_token is not None or self.serve_token_file is not None
        if self.serve_token is not None and self.serve_token_file is not None:
            raise UsageError("--serve-token and --serve-token-file were both given; choose one")
        if self.serve is None:
            if has_token:
                raise UsageError("--serve-token was given without --serve; add --serve PORT")
        elif not has_token and not self.serve.is_loopback:
            raise UsageError(
                f"--serve {self.serve} can be reached by others and has no token; expected one of "
                "--serve-token-file FILE, --serve-token '${NAME}' or --serve-token auto; or listen "
                f"on this machine only: --serve {self.serve.port}"
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "web").add_argument
    add(
        "--serve",
        metavar="[ADDRESS:]PORT",
        type=serve_address,
        help=f"show the stream to browsers; on {LOOPBACK} unless an address is given, and any "
        "other address needs a token",
    )
    add(
        "--serve-token",
        metavar="TOKEN",
        help="what viewers must know: '${NAME}' of an environment variable, auto for a new one "
        "printed at the start, or the token itself, which other users of this machine can then see",
    )
    add("--serve-token-file", metavar="FILE", type=Path, help="a file that holds the token")
    add(
        "--serve-fps",
        metavar="N",
        type=number_from(0.1, 120),
        default=VIEWER_FPS,
        help=f"most pictures per second for viewers of a camera; default {VIEWER_FPS:g}",
    )
    add(
        "--serve-width",
        metavar="PIXELS",
        type=positive,
        default=VIEWER_WIDTH,
        help=f"viewers get wider pictures made smaller; default {VIEWER_WIDTH}",
    )
    add(
        "--serve-quality",
        metavar="N",
        type=_quality,
        default=JPEG_QUALITY,
        help=f"of their JPEG pictures, 1 to 100; default {JPEG_QUALITY}",
    )


def serve_address(text: str) -> ServeAddress:
    """Return ``[ADDRESS:]PORT`` as an address; a ``type`` for the parser."""
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    is_port = port.isascii() and port.isdecimal() and int(port) < 65536
    is_host = (":" in host) == bracketed and not any(letter in host for letter in "/@[] \t")
    if not is_port or not is_host or text.startswith((":", "[]")):
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected a port up to 65535, such as 8080, 0.0.0.0:8080 or [::1]:8080"
        )
    return ServeAddress(host or LOOPBACK, int(port))


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number from 1 to 100")
    return int(text)
