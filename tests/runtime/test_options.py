"""The command line of stream.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import UsageError
from runtime.flow import Batching, Dropping
from runtime.options import build_parser, parse_options


def test_defaults() -> None:
    options = parse_options(["--camera", "0"])
    assert options.sources.camera == ["0"]
    model, outputs = options.model, options.files.outputs
    assert (model.backend, model.threads, model.score) == ("auto", 0, 0.3)
    assert model.artifact is model.max_frames is outputs.save is None
    assert not outputs.show
    assert options.mqtt.mqtt is options.metrics.metrics is options.web.serve is None
    assert not options.tracking.track


def test_options_of_every_group_are_taken() -> None:
    arguments = (
        "--video a.avi --artifact m.onnx --backend onnxruntime --threads 2 --score 0.5 "
        "--max-frames 9 --drop every-3 --batch 2 --batch-wait-ms 7 --save o.mp4 --jsonl o.jsonl "
        "--contact-sheet o.png --summary-json o.json --show --record r --record-every 5 "
        "--record-most 7 --track --mqtt mqtt://broker/home --metrics 9090 --serve 8080"
    )
    options = parse_options(arguments.split())
    assert options.sources.video == [Path("a.avi")]
    model = options.model
    assert model.artifact == Path("m.onnx")
    assert (model.threads, model.score, model.max_frames) == (2, 0.5, 9)
    assert model.drop == Dropping(every=3)
    assert model.batching == Batching(2, 0.007)
    assert options.files.outputs.contact_sheet == Path("o.png")
    assert options.files.outputs.show
    record = options.files.recording
    assert (record.record, record.record_every, record.record_most) == (Path("r"), 5, 7)
    assert options.tracking.track
    assert options.metrics.metrics is not None
    assert options.web.serve is not None


def test_cameras_videos_and_folders_can_be_mixed() -> None:
    words = "--camera a=0 --camera b=rtsp://h/x --video c.mp4 --images d --images e".split()
    sources = parse_options(words).sources
    assert sources.camera == ["a=0", "b=rtsp://h/x"]
    assert (sources.video, sources.images) == ([Path("c.mp4")], ["d", "e"])


def test_a_file_can_hold_them_and_its_errors_name_the_line(tmp_path: Path) -> None:
    file = tmp_path / "stream.toml"
    file.write_text('[sources]\ncamera = ["0"]\n[model]\nscore = 0.7\n')
    options = parse_options(["--config", str(file), "--threads", "3"])
    assert (options.sources.camera, options.model.score, options.model.threads) == (["0"], 0.7, 3)
    file.write_text('[sources]\nimages = ["docs"]\n[recording]\nrecord = "docs"\n')
    with pytest.raises(UsageError, match=r"--record \(.*stream\.toml:4\).* both name docs"):
        parse_options(["--config", str(file)])


def test_help_names_every_option_and_the_prog() -> None:
    text = build_parser().format_help()
    for option in ("--camera", "--video", "--images", "--artifact", "--backend", "--save"):
        assert option in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--camera 0 --drop newest", "--drop: got 'newest'; expected auto, latest, block"),
        ("--camera 0 --batch 0", "got '0'; expected a whole number from 1"),
        ("--camera 0 --camera-size big", "got 'big'; expected WIDTHxHEIGHT"),
        ("--camera 0 --record r --snapshots r", "--snapshots and --record both name r"),
        ("--camera 0 --snapshots s --snapshot-on track", "needs tracking; add --track"),
        ("--camera 0 --serve 0.0.0.0:80", "can be reached by others and has no token"),
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
