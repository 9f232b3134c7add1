"""The command line of stream.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.options import build_parser, parse_options


def test_defaults() -> None:
    options = parse_options(["--camera", "0"])
    assert options.camera == "0"
    assert (options.backend, options.threads, options.score) == ("auto", 0, 0.3)
    assert options.artifact is options.max_frames is options.save is None
    assert not options.show


def test_every_option_is_taken() -> None:
    arguments = (
        "--video a.avi --artifact m.onnx --backend onnxruntime --threads 2 --score 0.5 "
        "--max-frames 9 --save o.mp4 --jsonl o.jsonl --contact-sheet o.png --summary-json o.json "
        "--record r --record-every 5 --record-most 7 --show"
    )
    options = parse_options(arguments.split())
    assert (options.record, options.record_every, options.record_most) == (Path("r"), 5, 7)
    assert options.video == Path("a.avi")
    assert options.artifact == Path("m.onnx")
    assert (options.threads, options.score, options.max_frames) == (2, 0.5, 9)
    assert options.contact_sheet == Path("o.png")
    assert options.show


def test_help_names_every_option_and_the_prog() -> None:
    text = build_parser().format_help()
    for option in ("--camera", "--video", "--images", "--artifact", "--backend", "--save"):
        assert option in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "one of the arguments --camera --video --images is required; see: stream.py --help"),
        ("--camera 0 --video a.mp4", "not allowed with"),
        ("--camera front", "got 'front'; expected an index or a /dev path"),
        ("--camera -1", "expected one argument|expected an index"),
        ("--camera 0 --score 1.5", "got '1.5'; expected a number from 0 to 1"),
        ("--camera 0 --score nan", "got 'nan'"),
        ("--camera 0 --score high", "got 'high'"),
        ("--camera 0 --max-frames 0", "got '0'; expected a whole number from 1"),
        ("--camera 0 --threads two", "got 'two'; expected a whole number from 0"),
        ("--camera 0 --backend cuda", "invalid choice: 'cuda'"),
        ("--camera 0 --save out.avi", r"--save got out\.avi; .* ends in \.mp4"),
        ("--camera 0 --contact-sheet out.jpg", r"ends in \.png"),
        ("--camera 0 --save a.mp4 --jsonl ./a.mp4", "--jsonl and --save both name a.mp4"),
        ("--video a.mp4 --save a.mp4", "--save and --video both name a.mp4"),
        ("--camera 0 --jsonl /", "--jsonl got /, a folder"),
        ("--camera 0 --record pyproject.toml", "--record got pyproject.toml, a file"),
        ("--images docs --record ./docs", "--record and --images both name docs"),
        ("--camera 0 --record r --record-every 0", "got '0'; expected a whole number from 1"),
        ("--camera 0 --record r --record-most 0", "got '0'; expected a whole number from 1"),
        ("--camera 0 --frobnicate", "unrecognized arguments"),
    ],
)
def test_what_makes_no_sense_is_one_error(arguments: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_options(arguments.split())
