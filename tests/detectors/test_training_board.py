"""What TensorBoard reads back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from detectors.training_board import TrainingBoard


def read_back(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def test_scalars_appear_under_their_tabs(tmp_path):
    board = TrainingBoard(tmp_path, 0)
    board.add_scalars(5, {"total": 2.0, "rate": 0.001, "loader_share": 0.02, "ap50": 0.75})
    board.close()
    events = read_back(tmp_path)
    assert set(events.Tags()["scalars"]) == {
        "loss/total",
        "run/rate",
        "run/loader_share",
        "validation/ap50",
    }
    (point,) = events.Scalars("validation/ap50")
    assert (point.step, point.value) == (5, 0.75)


def test_a_picture_keeps_its_size_and_colours(tmp_path):
    board = TrainingBoard(tmp_path, 0)
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[..., 0] = 255  # blue
    board.add_picture(3, "image 1", picture)
    board.close()
    (event,) = read_back(tmp_path).Images("image 1")
    assert (event.step, event.width, event.height) == (3, 6, 4)
    import cv2

    decoded = cv2.imdecode(np.frombuffer(event.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded, picture)


def test_a_resumed_run_hides_what_was_written_beyond_its_first_step(tmp_path):
    first = TrainingBoard(tmp_path, 0)
    for step in (1, 2, 3):
        first.add_scalars(step, {"total": float(step)})
    first.close()
    again = TrainingBoard(tmp_path, 1)
    again.add_scalars(2, {"total": 9.0})
    again.close()
    points = [(p.step, p.value) for p in read_back(tmp_path).Scalars("loss/total")]
    assert points == [(1, 1.0), (2, 9.0)]
