"""A small parser for the tests of settings files."""

from __future__ import annotations

from pathlib import Path

from runtime.command_line import CommandParser, positive
from runtime.option_types import add_group, number_from, size_hw
from runtime.settings_file import add_config_arguments


def small_parser() -> CommandParser:
    """Return a parser with an option of each kind, and two that exclude each other."""
    parser = CommandParser(prog="stream.py")
    add_config_arguments(parser)
    parser.add_argument("--doctor", action="store_true")
    sources = add_group(parser, "sources")
    sources.add_argument("--camera", action="append", default=[])
    sources.add_argument("--camera-size", type=size_hw)
    sources.add_argument("--wait-for-cameras", action="store_true")
    model = add_group(parser, "model")
    model.add_argument("--score", type=number_from(0.0, 1.0), default=0.3)
    model.add_argument("--backend", choices=("auto", "synthetic"), default="auto")
    model.add_argument("--artifact", type=Path)
    model.add_argument("--max-frames", type=positive)
    web = add_group(parser, "web")
    web.add_argument("--serve-token")
    web.add_argument("--serve-token-file", type=Path)
    recording = add_group(parser, "recording").add_mutually_exclusive_group()
    recording.add_argument("--record", type=Path)
    recording.add_argument("--no-record", action="store_true")
    return parser
