"""Every stage is run on the stream's own frames, and leaves nothing behind."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from benchmarks.stages_alone import ALL_STAGES, DRAWN_STAGES, StagesAlone, read_frames
from runtime.backends import open_backend
from runtime.errors import SourceError
from runtime.options import parse_options
from tests.builders import write_tiny_artifact, write_video


def test_frames_are_those_of_the_stream(tmp_path: Path):
    video = str(write_video(tmp_path / "v.mp4", frames=9))
    assert len(read_frames(parse_options(["--video", video]))) == 9
    frames = read_frames(parse_options(["--video", video, "--max-frames", "4"]))
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3]


def test_a_missing_video_is_an_error(tmp_path: Path):
    with pytest.raises(SourceError, match="no file at"):
        read_frames(parse_options(["--video", str(tmp_path / "none.mp4")]))


def test_every_stage_is_measured_and_no_file_or_drawing_stays(tmp_path: Path):
    artifact = write_tiny_artifact(tmp_path / "a" / "tiny.onnx")
    video = str(write_video(tmp_path / "v.mp4", frames=5))
    saved = tmp_path / "saved"
    words = ["--video", video, "--save", str(saved / "o.mp4"), "--jsonl", str(saved / "o.jsonl")]
    options = parse_options(words)
    frames = read_frames(options)
    before = [frame.image.copy() for frame in frames]
    with contextlib.closing(open_backend(artifact, threads=1)) as backend:
        times = StagesAlone(options, backend, frames).measure()
    assert tuple(times) == ALL_STAGES and all(ms > 0 for ms in times.values())
    assert set(ALL_STAGES) - set(DRAWN_STAGES) == {"publish"}
    assert list(saved.iterdir()) == []
    for frame, image in zip(frames, before, strict=True):
        assert (frame.image == image).all()
