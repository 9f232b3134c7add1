"""The section of an explanation that shows which corners were joined: the embeddings."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from detectors.explain_canvas import (
    FAINT,
    INK,
    LABEL_PT,
    MARGIN_IN,
    TEXT_PT,
    TITLE_IN,
    WIDTH_IN,
    Label,
    Place,
    Sheet,
    dimmed,
    draw_corner,
    draw_labels,
    show_image,
)
from detectors.explain_corners import Corner
from detectors.explain_image import Explanation, ShownBox
from detectors.explain_panels import corner_point, panel_size
from detectors.explain_wording import KIND_NAMES

EMBEDDING_COLORS = colormaps["viridis"]
ROW_IN = 0.27
AXIS_IN = 1.1  # below the rows: the colour strip, ticks and the legend
MOST_BOXES, MOST_ALONE = 14, 8
MOST_IMAGE_IN = 5.2
NAMES_IN = 2.75  # the rows' names, left of the line
LINE_RIGHT_IN = WIDTH_IN - MARGIN_IN - 0.9  # leaves room for the distances


def pairs_height(explanation: Explanation) -> float:
    """Return the height of the third section, in inches."""
    return TITLE_IN + max(
        panel_size(explanation, MOST_IMAGE_IN)[1] + 0.25, _rows(explanation) * ROW_IN + AXIS_IN
    )


def _line_left(explanation: Explanation) -> float:
    """Return where the number line begins, in inches from the left."""
    return MARGIN_IN + panel_size(explanation, MOST_IMAGE_IN)[0] + NAMES_IN


def _rows(explanation: Explanation) -> int:
    """Return the rows of the number line, with one between boxes and corners alone."""
    boxes = min(len(explanation.shown), MOST_BOXES)
    alone = min(len(explanation.failures.unpaired), MOST_ALONE)
    return max(1, boxes + alone + (1 if boxes and alone else 0))


def draw_pairs(sheet: Sheet, explanation: Explanation) -> None:
    """Draw the corners on the image and on a line, coloured by their embeddings."""
    note = "corners of one object should share a value; a pair may differ by the limit"
    sheet.title("Embeddings", note)
    scale = embedding_scale(explanation)
    _draw_corners(sheet, explanation, scale)
    _draw_line(sheet, explanation, scale)


def embedding_scale(explanation: Explanation) -> Normalize:
    """Return the range of embeddings that the corners shown span, at least as wide as the limit."""
    corners = [corner for box in explanation.shown for corner in box.pair.corners]
    corners += [found.corner for found in explanation.failures.unpaired]
    values = [corner.embedding for corner in corners] or [0.0]
    low, high = min(values), max(values)
    widen = max(0.0, explanation.embedding_limit - (high - low)) / 2
    return Normalize(low - widen, high + widen)


def _draw_corners(sheet: Sheet, explanation: Explanation, scale: Normalize) -> None:
    """Draw every corner on the image, joined to its partner."""
    sheet.text(MARGIN_IN, 0.38, "corners coloured by embedding, joined where they made a box")
    axes = sheet.axes(Place(MARGIN_IN, TITLE_IN, *panel_size(explanation, MOST_IMAGE_IN)))
    show_image(axes, dimmed(explanation.image, 0.45))
    labels = []
    for number, box in enumerate(explanation.shown, 1):
        points = [corner_point(explanation, corner) for corner in box.pair.corners]
        mean = np.mean([corner.embedding for corner in box.pair.corners])
        color = EMBEDDING_COLORS(scale(mean))
        axes.plot(*zip(*points, strict=True), color=color, linewidth=1.4)
        for corner, point in zip(box.pair.corners, points, strict=True):
            draw_corner(axes, corner.kind, point, EMBEDDING_COLORS(scale(corner.embedding)), 11.0)
        middle = (np.add(*points) / 2).tolist()
        labels.append(Label(str(number), tuple(middle), color))
    for number, found in enumerate(explanation.failures.unpaired, 1):
        point = corner_point(explanation, found.corner)
        color = EMBEDDING_COLORS(scale(found.corner.embedding))
        draw_corner(axes, found.corner.kind, point, color, 9.0)
        labels.append(Label(f"u{number}", point, "white"))
    draw_labels(axes, labels)


def _draw_line(sheet: Sheet, explanation: Explanation, scale: Normalize) -> None:
    """Draw the number line: a row per box, then a row per strong corner alone."""
    rows = _rows(explanation)
    left = _line_left(explanation)
    width = LINE_RIGHT_IN - left
    axes = sheet.axes(Place(left, TITLE_IN, width, rows * ROW_IN))
    span = scale.vmax - scale.vmin
    axes.set_xlim(scale.vmin - 0.04 * span, scale.vmax + 0.04 * span)
    axes.set_ylim(rows - 0.5, -0.5)
    boxes = explanation.shown[:MOST_BOXES]
    for row, box in enumerate(boxes):
        _draw_pair_row(axes, explanation, row, box, scale)
    alone = explanation.failures.unpaired[:MOST_ALONE]
    first = rows - len(alone)
    for row, found in enumerate(alone, first):
        _name_row(axes, row, f"u{row - first + 1}  {_corner_name(explanation, found.corner)}")
        _draw_mark(axes, row, found.corner, scale)
        axes.text(1.012, row, "alone", transform=axes.get_yaxis_transform(), **_SIDE)
    sheet.text(LINE_RIGHT_IN + 0.1, 0.38, "distance", fontsize=LABEL_PT)
    _draw_limit(sheet, explanation, axes)
    _draw_strip(sheet, axes, scale, (left, TITLE_IN + rows * ROW_IN))


_SIDE = {"fontsize": TEXT_PT, "va": "center_baseline", "color": INK}


def _draw_pair_row(
    axes: Axes, explanation: Explanation, row: int, box: ShownBox, scale: Normalize
) -> None:
    """Draw one box's two corners at their embeddings."""
    name = explanation.class_names[box.class_id]
    _name_row(axes, row, f"{row + 1}  {name} {box.score:.2f}")
    ends = [corner.embedding for corner in box.pair.corners]
    axes.plot(ends, [row, row], color=INK, linewidth=1.2)
    for corner in box.pair.corners:
        _draw_mark(axes, row, corner, scale)
    words = f"{box.pair.distance:.3f}"
    axes.text(1.012, row, words, transform=axes.get_yaxis_transform(), **_SIDE)


def _draw_mark(axes: Axes, row: int, corner: Corner, scale: Normalize) -> None:
    """Draw a corner at its embedding, the two kinds above and below the row's line."""
    axes.axhline(row, color=FAINT, linewidth=0.3, zorder=0)
    color = EMBEDDING_COLORS(scale(corner.embedding))
    draw_corner(axes, corner.kind, (corner.embedding, row), color, 8.0)


def _name_row(axes: Axes, row: int, words: str) -> None:
    axes.text(-0.012, row, words, transform=axes.get_yaxis_transform(), **_SIDE, ha="right")


def _corner_name(explanation: Explanation, corner: Corner) -> str:
    kind = KIND_NAMES[corner.kind]
    return f"{kind} {explanation.class_names[corner.class_id]} {corner.score:.2f}"


def _draw_limit(sheet: Sheet, explanation: Explanation, axes: Axes) -> None:
    """Draw the largest allowed distance as a bar above the line."""
    left = _line_left(explanation)
    low, high = axes.get_xlim()
    share = min(1.0, explanation.embedding_limit / (high - low))
    width = (LINE_RIGHT_IN - left) * share
    bar = sheet.axes(Place(left, TITLE_IN - 0.16, width, 0.07))
    bar.plot([0, 0, 0, 1, 1, 1], [0, 1, 0.5, 0.5, 1, 0], color=INK, linewidth=1.4, clip_on=False)
    bar.set_xlim(0, 1)
    bar.set_ylim(0, 1)
    bar.axis("off")
    words = f"limit {explanation.embedding_limit:.2f}: corners further apart are not joined"
    sheet.text(left, 0.26, words, fontsize=LABEL_PT)


def _draw_strip(sheet: Sheet, axes: Axes, scale: Normalize, corner: tuple[float, float]) -> None:
    """Draw the colours of the embeddings along the line's foot, and its ticks."""
    left, top = corner
    strip = sheet.axes(Place(left, top, LINE_RIGHT_IN - left, 0.12))
    low, high = axes.get_xlim()
    strip.imshow(
        EMBEDDING_COLORS(scale(np.linspace(low, high, 512)))[None],
        aspect="auto",
        extent=(low, high, 0, 1),
    )
    strip.xaxis.set_major_locator(MaxNLocator(9))
    strip.tick_params(labelsize=LABEL_PT, length=3, color=FAINT)
    strip.set_xlabel("embedding (no unit; only differences mean something)", fontsize=TEXT_PT)
    legend = sheet.axes(Place(left, top + 0.72, 3.2, 0.25))
    legend.set_xlim(0, 3.2)
    legend.set_ylim(0.25, 0)
    legend.axis("off")
    for start, kind in ((0.12, "tl"), (1.75, "br")):
        draw_corner(legend, kind, (start, 0.12), "white", 8.0)
        legend.text(start + 0.2, 0.12, f"{KIND_NAMES[kind]} corner", **_SIDE)
