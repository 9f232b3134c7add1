"""The options about the model."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from runtime.command_line import CommandParser
from runtime.errors import UsageError
from runtime.flow import Batching, Dropping
from runtime.frame_buffer import DropPolicy
from runtime.option_types import group_from
from runtime.options_model import ModelOptions, add_arguments


def parse(*words: str) -> ModelOptions:
    parser: argparse.ArgumentParser = CommandParser(prog="x")
    add_arguments(parser)
    return group_from(ModelOptions, parser.parse_args(words))


def test_defaults_suit_a_camera() -> None:
    options = parse()
    assert options == ModelOptions(None, "auto", 0, 0.3, None, Dropping(), None, 5.0)
    assert options.batching == Batching(None, 0.005)


def test_all() -> None:
    words = "--artifact a.onnx --backend onnxruntime --threads 3 --score 0 --max-frames 1 "
    options = parse(*(words + "--drop block --batch 4 --batch-wait-ms 0").split())
    block = Dropping(DropPolicy.BLOCK)
    assert options == ModelOptions(Path("a.onnx"), "onnxruntime", 3, 0.0, 1, block, 4, 0.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--score", "-0.1"], "--score: got '-0.1'; expected a number from 0 to 1"),
        (["--score", "nan"], "got 'nan'"),
        (["--drop", "every-0"], "--drop: got 'every-0'; expected auto, latest, block, or every-N"),
        (["--batch", "0"], "--batch: got '0'; expected a whole number from 1"),
        (["--batch-wait-ms", "inf"], "got 'inf'; expected a number from 0 to 1000"),
    ],
)
def test_what_makes_no_sense(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(*words)
