"""Where the web view may listen, and when it insists on a token."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from runtime.command_line import CommandParser
from runtime.errors import UsageError
from runtime.option_types import group_from
from runtime.options_web import ServeAddress, WebOptions, add_arguments, serve_address

TOKEN = "correct-horse-battery"


def parse(*arguments: str) -> WebOptions:
    parser = CommandParser()
    add_arguments(parser)
    return group_from(WebOptions, parser.parse_args(arguments))


def test_the_web_view_is_off_unless_asked_for() -> None:
    options = parse()
    assert options.serve is None
    assert (options.serve_fps, options.serve_width, options.serve_quality) == (15.0, 1280, 80)


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        ("8080", ServeAddress("127.0.0.1", 8080), True),
        ("0", ServeAddress("127.0.0.1", 0), True),
        ("localhost:80", ServeAddress("localhost", 80), True),
        ("127.3.2.1:65535", ServeAddress("127.3.2.1", 65535), True),
        ("[::1]:8080", ServeAddress("::1", 8080), True),
        ("0.0.0.0:8080", ServeAddress("0.0.0.0", 8080), False),
        ("[::]:8080", ServeAddress("::", 8080), False),
        ("camera-box.local:8080", ServeAddress("camera-box.local", 8080), False),
    ],
)
def test_addresses(text: str, address: ServeAddress, is_loopback: bool) -> None:
    assert serve_address(text) == address
    assert address.is_loopback == is_loopback
    assert serve_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    "|x|80x|-1|65536|:80|host:|::1:80|[]:80|[1.2.3.4]:80|a b:80|me@host:80|http://host:80|²".split(
        "|"
    ),
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a port"):
        serve_address(text)


def test_another_address_needs_a_token() -> None:
    with pytest.raises(UsageError, match="has no token; expected one of --serve-token-file"):
        parse("--serve", "0.0.0.0:80")
    assert parse("--serve", "0.0.0.0:80", "--serve-token", TOKEN).serve_token == TOKEN
    file = parse("--serve", "[::]:80", "--serve-token-file", "token").serve_token_file
    assert file == Path("token")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--serve-token", TOKEN), "without --serve"),
        (("--serve-token-file", "token"), "without --serve"),
        (("--serve", "80", "--serve-token", TOKEN, "--serve-token-file", "f"), "choose one"),
        (("--serve", "80", "--serve-fps", "0"), "from 0.1 to 120"),
        (("--serve", "80", "--serve-fps", "nan"), "from 0.1 to 120"),
        (("--serve", "80", "--serve-width", "0"), "from 1"),
        (("--serve", "80", "--serve-quality", "101"), "from 1 to 100"),
        (("--serve", "80", "--serve-quality", "x"), "from 1 to 100"),
    ],
)
def test_what_makes_no_sense(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        parse(*arguments)
    assert TOKEN not in str(raised.value)


def test_the_token_is_not_in_the_representation() -> None:
    assert TOKEN not in repr(parse("--serve", "80", "--serve-token", TOKEN))
