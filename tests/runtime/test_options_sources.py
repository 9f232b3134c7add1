"""The sources' part of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from runtime.command_line import CommandParser
from runtime.errors import UsageError
from runtime.option_types import group_from
from runtime.options_sources import STALL_TIMEOUT_S, SourceOptions, add_arguments


def parse(*arguments: str) -> SourceOptions:
    parser: argparse.ArgumentParser = CommandParser(prog="x")
    add_arguments(parser)
    return group_from(SourceOptions, parser.parse_args(arguments))


def test_defaults() -> None:
    assert parse() == SourceOptions(
        camera=[],
        video=[],
        images=[],
        camera_size=None,
        camera_fps=None,
        pixel_format=None,
        latency_ms=100,
        stall_timeout=STALL_TIMEOUT_S,
        wait_for_cameras=False,
        give_up_after=None,
    )


def test_every_option_is_taken() -> None:
    text = (
        "--camera 0 --camera gate=1 --video a.mp4 --video b.mp4 --images d --camera-size 1280x720 "
        "--camera-fps 29.97 --pixel-format yuyv --latency-ms 0 --stall-timeout 0.5 "
        "--wait-for-cameras --give-up-after 60"
    )
    assert parse(*text.split()) == SourceOptions(
        camera=["0", "gate=1"],
        video=[Path("a.mp4"), Path("b.mp4")],
        images=["d"],
        camera_size=(720, 1280),
        camera_fps=29.97,
        pixel_format="YUYV",
        latency_ms=0,
        stall_timeout=0.5,
        wait_for_cameras=True,
        give_up_after=60.0,
    )


def test_lists_are_not_shared_between_parsers() -> None:
    parse("--camera", "0")
    assert parse().camera == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--camera-size", "720p"], "expected WIDTHxHEIGHT"),
        (["--camera-fps", "0"], "expected a number from 0.1 to 1000"),
        (["--pixel-format", "motion-jpeg"], "expected four letters, such as MJPG"),
        (["--pixel-format", "MJ"], "expected four letters"),
        (["--latency-ms", "-1"], "expected a whole number from 0"),
        (["--stall-timeout", "0"], "expected a number from 0.1"),
        (["--give-up-after", "-1"], "expected a number from 0"),
    ],
)
def test_nonsense_is_an_error(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(*arguments)
