"""The list of failures on the picture."""

from __future__ import annotations

from detectors.explain_canvas import Sheet
from detectors.explain_failure_panel import MOST_LINES, TITLES, draw_failures, failures_height
from detectors.explain_image import Explanation
from tests.detectors.explained import Peak, one_object
from tests.detectors.explanations import an_explanation


def lines_of(explanation: Explanation) -> list[str]:
    sheet = Sheet.blank(failures_height(explanation))
    draw_failures(sheet, explanation)
    return [text.get_text() for text in sheet.figure.texts]


def test_every_kind_has_its_heading_and_lines() -> None:
    lines = lines_of(an_explanation())
    assert set(TITLES.values()) <= set(lines)
    assert "top-left corner of A, but its bottom-right corner is no object's" in lines
    assert "no top-left corner; no bottom-right corner" in lines


def test_without_annotations_it_says_what_is_not_known() -> None:
    lines = lines_of(an_explanation(one_object(), truth=None))
    assert lines.count("not known: no annotations given") == 2
    assert lines.count("none") == 2


def test_a_long_list_is_cut_and_says_so() -> None:
    alone = [Peak("tl", 3 * place, 20, 2, 0.5, 9.0 * place) for place in range(1, 8)]
    lines = lines_of(an_explanation((*one_object(), *alone)))
    assert f"and {7 - MOST_LINES} more in explain.json" in lines


def test_the_list_stays_inside_the_sheet() -> None:
    explanation = an_explanation()
    sheet = Sheet.blank(failures_height(explanation))
    draw_failures(sheet, explanation)
    bounds = [text.get_window_extent() for text in sheet.figure.texts if text.get_text()]
    width, height = sheet.figure.get_size_inches() * sheet.figure.dpi
    assert min(box.y0 for box in bounds) >= 0
    assert max(box.x1 for box in bounds) <= width
    assert max(box.y1 for box in bounds) <= height + 1
