"""The demo clip."""

from __future__ import annotations

import itertools
import json

import cv2
import numpy as np
import pytest

from detectors.shapes_clip import ClipSpec, _bounce, clip_frames, write_clip
from runtime.errors import DatasetError

SHORT = ClipSpec(seed=5, seconds=0.4, fps=10, image_hw=(96, 128), scene_s=0.2)


def test_shapes_move_between_frames_and_scenes_are_cut():
    frames = list(clip_frames(SHORT))
    assert len(frames) == 4 and frames[0][0].shape == (96, 128, 3)
    changes = [np.abs(b[0].astype(int) - a[0]).mean() for a, b in itertools.pairwise(frames)]
    assert all(change > 0 for change in changes)
    assert changes[1] == max(changes)  # the cut after 0.2 s


def test_clip_follows_its_seed():
    first, again = (next(iter(clip_frames(SHORT)))[0] for _ in range(2))
    assert (first == again).all()


def test_written_clip_has_its_frames_rate_and_truth(tmp_path):
    truth = write_clip(tmp_path / "clip.mp4", SHORT)
    video = cv2.VideoCapture(str(tmp_path / "clip.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 4 and video.get(cv2.CAP_PROP_FPS) == 10
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert len(lines) == 4
    assert len(lines[0]["boxes_xyxy"]) == len(lines[0]["class_ids"]) > 0


def test_clip_in_an_unknown_format_is_one_error_and_no_file(tmp_path):
    with pytest.raises(DatasetError, match="encode MP4"):
        write_clip(tmp_path / "clip.unknown", SHORT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("position", "expected"), [(3.0, 3.0), (12.0, 8.0), (-2.0, 2.0), (23.0, 3.0), (20.0, 0.0)]
)
def test_bounce_folds_into_the_picture(position, expected):
    assert _bounce(position, 10.0) == pytest.approx(expected)
