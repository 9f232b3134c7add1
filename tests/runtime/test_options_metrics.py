"""Options of the metrics."""

from __future__ import annotations

import pytest

from runtime.command_line import CommandParser
from runtime.errors import UsageError
from runtime.option_types import group_from
from runtime.options_metrics import MetricsOptions, add_arguments
from runtime.options_web import ServeAddress


def parse(*arguments: str) -> MetricsOptions:
    parser = CommandParser(prog="stream.py")
    add_arguments(parser)
    return group_from(MetricsOptions, parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ((), None),
        (("--metrics", "9090"), ServeAddress("127.0.0.1", 9090)),
        (("--metrics", "0.0.0.0:9090"), ServeAddress("0.0.0.0", 9090)),
        (("--metrics", "[::1]:0"), ServeAddress("::1", 0)),
    ],
)
def test_an_address_is_taken(arguments: tuple[str, ...], address: ServeAddress | None) -> None:
    assert parse(*arguments) == MetricsOptions(address)


@pytest.mark.parametrize("text", ["", "host", "host:", ":9090", "1.2.3.4:99999", "::1:90"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--metrics: got .* expected a port"):
        parse("--metrics", text)
