"""All sections together, and alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from detectors.explain_canvas import WIDTH_IN
from detectors.explain_poster import SECTIONS, draw_poster, write_pictures
from tests.detectors.explanations import an_explanation


def test_the_poster_and_every_section_are_written(tmp_path: Path) -> None:
    written = write_pictures(tmp_path, an_explanation(), ("a.jpg", "a network"), dpi=20)
    names = ["explain.png", *(f"explain-{section.name}.png" for section in SECTIONS)]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    images = [cv2.imread(str(path)) for path in written]
    assert {image.shape[1] for image in images} == {round(20 * WIDTH_IN)}
    assert all(np.ptp(image) > 100 for image in images)


def test_a_network_without_pools_and_boxes_has_a_poster_too(tmp_path: Path) -> None:
    explanation = an_explanation((), truth=None, pools=False)
    written = write_pictures(tmp_path, explanation, ("a.jpg", "a network"), dpi=20)
    assert [path.stem.removeprefix("explain-") for path in written] == [
        "explain",
        "heatmaps",
        "embeddings",
        "failures",
    ]


@pytest.mark.slow
def test_no_words_of_the_poster_cover_each_other() -> None:
    sheet = draw_poster(an_explanation(), "a.jpg", "a network")
    texts = [text for text in sheet.figure.texts if text.get_text()]
    texts += [text for axes in sheet.figure.axes for text in axes.texts]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for index, (words, box) in enumerate(boxes):
        for others, other in boxes[index + 1 :]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(across, down) <= 1.5, f"{words!r} and {others!r}"
