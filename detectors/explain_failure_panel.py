"""The section of an explanation that shows what went wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes

from detectors.explain_canvas import (
    GAP_IN,
    LABEL_PT,
    MARGIN_IN,
    TITLE_IN,
    WIDTH_IN,
    Label,
    Place,
    Sheet,
    dimmed,
    draw_box,
    draw_corner,
    draw_labels,
    show_image,
)
from detectors.explain_image import Explanation
from detectors.explain_panels import corner_point, panel_size
from detectors.explain_wording import Finding, describe_failures, object_mark

# Of the Okabe and Ito palette; each kind also has a line of its own.
COLORS = {"wrong": "#D55E00", "missed": "#56B4E9", "unpaired": "#F0E442", "ambiguous": "#CC79A7"}
TITLES = {
    "wrong": "Wrong boxes: corners of two objects, or no object overlaps by half",
    "missed": "Missed objects (dashed; in white: found, but named above)",
    "unpaired": "Strong corners without a box",
    "ambiguous": "Boxes in doubt: a second strong partner passes every test (dotted)",
}
MOST_IMAGE_IN = 5.2
MOST_LINES = 6  # of one kind; the rest is in the JSON file
LINE_IN = 0.2
TITLE_COLUMN_IN, REASON_COLUMN_IN = 0.65, 3.05
LETTER_IN = 0.585 * LABEL_PT / 72  # an average letter
RIGHT = "#F5F5F5"  # boxes that nothing is said about


def failures_height(explanation: Explanation) -> float:
    """Return the height of the fourth section, in inches."""
    lines = sum(0.6 + len(rows) for _, rows in _listing(explanation))
    return TITLE_IN + max(panel_size(explanation, MOST_IMAGE_IN)[1] + 0.2, lines * LINE_IN + 0.4)


def draw_failures(sheet: Sheet, explanation: Explanation) -> None:
    """Draw the failures on the image, and list them with their reasons."""
    sheet.title("Failures", "what did not become a box, and which boxes are wrong or in doubt")
    sheet.text(MARGIN_IN, 0.38, "numbers: boxes; letters: objects; u: corners alone")
    axes = sheet.axes(Place(MARGIN_IN, TITLE_IN, *panel_size(explanation, MOST_IMAGE_IN)))
    show_image(axes, dimmed(explanation.image, -0.35))
    labels = [*_draw_shown(axes, explanation), *_draw_lost(axes, explanation)]
    draw_labels(axes, labels, [box.box_xyxy for box in explanation.shown])
    left = _list_left(explanation)
    top = TITLE_IN - 0.24
    for kind, rows in _listing(explanation):
        sheet.text(left, top, "■", color=COLORS[kind], fontsize=12)
        sheet.text(left + 0.25, top + 0.01, TITLES[kind], fontweight="bold")
        top += LINE_IN * 1.15
        for mark, title, reason in rows:
            sheet.text(left + 0.25, top, mark, fontsize=LABEL_PT, fontweight="bold")
            sheet.text(left + TITLE_COLUMN_IN, top, title, fontsize=LABEL_PT)
            sheet.text(left + REASON_COLUMN_IN, top, reason, fontsize=LABEL_PT, color="#303030")
            top += LINE_IN
        top += LINE_IN * 0.45


Row = tuple[str, str, str]


def _list_left(explanation: Explanation) -> float:
    """Return where the list begins, in inches from the left."""
    return MARGIN_IN + panel_size(explanation, MOST_IMAGE_IN)[0] + GAP_IN + 0.1


def _listing(explanation: Explanation) -> list[tuple[str, list[Row]]]:
    """Return the lines under each heading: mark, title, reason."""
    findings = describe_failures(explanation)
    room = WIDTH_IN - MARGIN_IN - _list_left(explanation) - REASON_COLUMN_IN
    listing = []
    for kind in TITLES:
        if explanation.truth is None and kind in ("wrong", "missed"):
            rows = [("", "not known: no annotations given", "")]
        else:
            rows = _lines_of([f for f in findings if f.kind == kind], int(room / LETTER_IN))
        listing.append((kind, rows))
    return listing


def _lines_of(findings: Sequence[Finding], characters: int) -> list[Row]:
    """Return the lines of one kind of failure, long reasons wrapped."""
    rows: list[Row] = []
    for finding in findings[:MOST_LINES]:
        first, *more = textwrap.wrap(finding.reason, characters)
        rows += [(finding.mark, finding.title, first), *(("", "", line) for line in more)]
    if len(findings) > MOST_LINES:
        rows.append(("", f"and {len(findings) - MOST_LINES} more in explain.json", ""))
    return rows or [("", "none", "")]


def _draw_shown(axes: Axes, explanation: Explanation) -> list[Label]:
    """Draw the boxes shown, and the second partners that some had; returns their labels."""
    failures = explanation.failures
    wrong = {found.pair for found in failures.wrong}
    doubtful = {found.pair for found in failures.ambiguous}
    for found in failures.ambiguous:
        points = [corner_point(explanation, corner) for corner in (found.corner, found.rival)]
        axes.plot(*zip(*points, strict=True), ":", color=COLORS["ambiguous"], linewidth=1.6)
    labels = []
    for number, box in enumerate(explanation.shown, 1):
        kind = "wrong" if box.pair in wrong else "ambiguous" if box.pair in doubtful else ""
        color = COLORS.get(kind, RIGHT)
        draw_box(axes, box.box_xyxy, color, linewidth=2.2 if kind == "wrong" else 1.0)
        labels.append(Label(str(number), box.box_xyxy[:2], color))
    return labels


def _draw_lost(axes: Axes, explanation: Explanation) -> list[Label]:
    """Draw objects that were missed or mistaken, and corners alone; returns their labels."""
    failures, truth = explanation.failures, explanation.truth
    missed = {found.index for found in failures.missed}
    named = {owner for found in failures.wrong for owner in found.owners if owner is not None}
    labels = []
    for index in sorted(missed | named) if truth else ():
        color, width = (COLORS["missed"], 2.0) if index in missed else (RIGHT, 1.0)
        box = truth.boxes_xyxy[index].tolist()
        draw_box(axes, box, color, linestyle="--", linewidth=width)
        labels.append(Label(object_mark(index), tuple(box[2:]), color))
    for number, alone in enumerate(failures.unpaired, 1):
        point = corner_point(explanation, alone.corner)
        draw_corner(axes, alone.corner.kind, point, COLORS["unpaired"], 10.0)
        labels.append(Label(f"u{number}", point, COLORS["unpaired"]))
    return labels
