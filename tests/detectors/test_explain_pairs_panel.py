"""The number line of embeddings."""

from __future__ import annotations

import pytest

from detectors.explain_canvas import Sheet
from detectors.explain_pairs_panel import draw_pairs, embedding_scale, pairs_height
from tests.detectors.explained import Peak, one_object
from tests.detectors.explanations import an_explanation


def words_of(sheet: Sheet) -> list[str]:
    return [text.get_text() for axes in sheet.figure.axes for text in axes.texts]


def test_every_box_and_corner_alone_has_a_row_with_its_distance() -> None:
    explanation = an_explanation()
    sheet = Sheet.blank(pairs_height(explanation))
    draw_pairs(sheet, explanation)
    words = words_of(sheet)
    assert {"1  dog 0.85", "2  dog 0.79", "u1  top-left owl 0.60"} <= set(words)
    assert [word for word in words if word in ("0.100", "0.300", "alone")] == [
        "0.100",
        "0.300",
        "alone",
    ]


def test_the_scale_spans_the_embeddings_shown() -> None:
    scale = embedding_scale(an_explanation())
    assert (scale.vmin, scale.vmax) == (0, 3)


@pytest.mark.parametrize("peaks", [(), one_object(2.0), (Peak("tl", 3, 3, 0, 0.9, 7.0),)])
def test_the_scale_is_never_narrower_than_the_limit(peaks: tuple[Peak, ...]) -> None:
    scale = embedding_scale(an_explanation(peaks, truth=None))
    assert scale.vmax - scale.vmin == pytest.approx(0.5)
