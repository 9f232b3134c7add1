"""The sections of an explanation that show maps: heatmaps, boxes, corner pools."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb

from detectors.explain_canvas import (
    FAINT,
    GAP_IN,
    LABEL_PT,
    MARGIN_IN,
    TITLE_IN,
    WIDTH_IN,
    Label,
    Place,
    Sheet,
    class_colors,
    dimmed,
    draw_box,
    draw_corner,
    draw_labels,
    fit_panel,
    show_image,
    show_scale,
)
from detectors.explain_corners import Corner
from detectors.explain_image import Explanation
from detectors.explain_pools import PoolView
from detectors.explain_wording import KIND_NAMES

PANEL_IN = (WIDTH_IN - 2 * MARGIN_IN - 2 * GAP_IN) / 3
MOST_PANEL_IN = 6.7  # a portrait of 3 to 4 fills the columns
SCALES_IN = 0.6
POOL_TITLE_IN = TITLE_IN + 0.18
POOL_GAP_IN = 0.08  # between before and after
POOL_IN = (WIDTH_IN - 2 * MARGIN_IN - 3 * GAP_IN - 4 * POOL_GAP_IN) / 8
POOL_COLORS = colormaps["magma"]
ARROWS = {"top": "↑", "left": "←", "bottom": "↓", "right": "→"}


def strong_corners(explanation: Explanation, kind: str) -> list[Corner]:
    """Return the corners of one kind that count as strong, best first."""
    pairing = explanation.pairing
    corners = pairing.top_left if kind == "tl" else pairing.bottom_right
    return [corner for corner in corners if corner.score >= explanation.score_threshold]


def corner_point(explanation: Explanation, corner: Corner) -> tuple[float, float]:
    """Return a corner's place on the image, in pixels."""
    x, y = explanation.placement.to_image((*corner.xy, *corner.xy))[:2].tolist()
    return x, y


def colors_of(explanation: Explanation) -> dict[int, str]:
    """Return a colour for every class that has a strong corner."""
    corners = [*strong_corners(explanation, "tl"), *strong_corners(explanation, "br")]
    return class_colors([corner.class_id for corner in corners])


def panel_size(explanation: Explanation, most_height: float = MOST_PANEL_IN) -> tuple[float, float]:
    """Return the width and height of a panel with the image, in inches."""
    return fit_panel(explanation.image.shape[:2], PANEL_IN, most_height)


def heatmaps_height(explanation: Explanation) -> float:
    """Return the height of the first section, in inches."""
    return TITLE_IN + panel_size(explanation)[1] + SCALES_IN


def draw_heatmaps(sheet: Sheet, explanation: Explanation) -> None:
    """Draw both heatmaps over the image, and the final boxes."""
    sheet.title("Heatmaps and boxes", "where the network sees corners, and what it makes of them")
    width, height = panel_size(explanation)
    colors = colors_of(explanation)
    for column, kind in enumerate(KIND_NAMES):
        corners = strong_corners(explanation, kind)
        left = MARGIN_IN + column * (PANEL_IN + GAP_IN)
        title = f"{KIND_NAMES[kind]} heatmap; rings: {len(corners)} corners from "
        sheet.text(left, 0.38, f"{title}{explanation.score_threshold:.2f}")
        axes = sheet.axes(Place(left, TITLE_IN, width, height))
        show_image(axes, dimmed(explanation.image, -0.65))
        overlay = heat_overlay(explanation.heat[kind], colors)
        show_map(axes, overlay, explanation)
        for corner in corners:
            _draw_ring(axes, corner_point(explanation, corner))
    _draw_boxes(sheet, explanation, colors)
    _draw_class_scales(sheet.below(TITLE_IN + height + 0.14), explanation, colors)


def show_map(axes: Axes, values: np.ndarray, explanation: Explanation, **style: object) -> None:
    """Lay a map over the image that the axes show, cell by cell, and keep their limits."""
    limits = axes.get_xlim(), axes.get_ylim()
    extent = explanation.placement.extent
    axes.imshow(values, extent=extent, interpolation="nearest", aspect="auto", **style)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def heat_overlay(heat: np.ndarray, colors: dict[int, str]) -> np.ndarray:
    """Return RGBA in [0, 1]: cells coloured by strongest class, opaque by value.

    Args:
        heat: float32 (classes, h, w) in [0, 1].
        colors: Classes to show; others are left out.

    Returns:
        float32 (h, w, 4).
    """
    overlay = np.zeros((*heat.shape[1:], 4), np.float32)
    if colors:
        shown = sorted(colors)
        table = np.array([to_rgb(colors[class_id]) for class_id in shown], np.float32)
        overlay[..., :3] = table[heat[shown].argmax(axis=0)]
        overlay[..., 3] = opacity(heat[shown].max(axis=0))
    return overlay


def opacity(values: np.ndarray) -> np.ndarray:
    """Return how opaque a heatmap's values are drawn: weak corners show, background hardly."""
    return values**0.75


def _draw_ring(axes: Axes, point: tuple[float, float]) -> None:
    """Draw a ring around a corner, wide enough to leave its peak free."""
    axes.plot(*point, "o", markersize=22, fillstyle="none", color="white", markeredgewidth=0.9)


def _draw_boxes(sheet: Sheet, explanation: Explanation, colors: dict[int, str]) -> None:
    """Draw the final boxes over the image, in the third column."""
    left = MARGIN_IN + 2 * (PANEL_IN + GAP_IN)
    sheet.text(left, 0.38, f"final boxes: {len(explanation.shown)}, scores after soft-NMS")
    axes = sheet.axes(Place(left, TITLE_IN, *panel_size(explanation)))
    show_image(axes, explanation.image[..., ::-1])
    labels = []
    for number, box in enumerate(explanation.shown, 1):
        color = colors[box.class_id]
        draw_box(axes, box.box_xyxy, color)
        words = f"{number} {explanation.class_names[box.class_id]} {box.score:.2f}"
        labels.append(Label(words, box.box_xyxy[:2], color))
    draw_labels(axes, labels, [box.box_xyxy for box in explanation.shown])


def _draw_class_scales(sheet: Sheet, explanation: Explanation, colors: dict[int, str]) -> None:
    """Show for every class how a heatmap's value looks, below the heatmaps."""
    room = 2 * PANEL_IN + GAP_IN
    step = min(2.2, room / max(1, len(colors)))
    for place, (class_id, color) in enumerate(colors.items()):
        left = MARGIN_IN + place * step
        words = explanation.class_names[class_id][: int(step / 0.085)]
        sheet.text(left, 0, words, fontsize=LABEL_PT)
        shares = opacity(np.linspace(0, 1, 64))[:, None]
        ground = np.full(3, 0.12)
        scale = ListedColormap(shares * to_rgb(color) + (1 - shares) * ground)
        show_scale(sheet.axes(Place(left, 0.18, 0.8 * step, 0.1)), scale, 0, 1, digits=0)


def pools_height(explanation: Explanation) -> float:
    """Return the height of the second section, in inches; 0 without corner pools."""
    if not explanation.pools:
        return 0.0
    return POOL_TITLE_IN + _pool_panel(explanation)[1] + SCALES_IN


def _pool_panel(explanation: Explanation) -> tuple[float, float]:
    return fit_panel(explanation.image.shape[:2], POOL_IN, 3.0)


def draw_pools(sheet: Sheet, explanation: Explanation) -> None:
    """Draw the features before and after each corner pool, side by side."""
    note = "each cell takes the largest value on the way to it; marks: the corners found"
    sheet.title("Corner pools", note)
    for place, view in enumerate(explanation.pools):
        _draw_pool(sheet, explanation, view, place)


def _draw_pool(sheet: Sheet, explanation: Explanation, view: PoolView, place: int) -> None:
    """Draw one pool: before, after, and the scale that both share."""
    width, height = _pool_panel(explanation)
    left = MARGIN_IN + place * (2 * POOL_IN + POOL_GAP_IN + GAP_IN)
    low, high = float(view.before.min()), float(view.after.max())
    corners = strong_corners(explanation, view.kind)
    words = f"{ARROWS[view.direction]} {view.direction} pool, "
    sheet.text(left, 0.38, f"{words}channel {view.channel} of {view.channels}")
    for step, (name, values) in enumerate((("before", view.before), ("after", view.after))):
        start = left + step * (width + POOL_GAP_IN)
        sheet.text(start, 0.6, name, fontsize=LABEL_PT, color=FAINT)
        axes = sheet.axes(Place(start, POOL_TITLE_IN, width, height))
        show_image(axes, dimmed(explanation.image, -0.9))
        show_map(axes, values, explanation, cmap=POOL_COLORS, vmin=low, vmax=high)
        for corner in corners:
            draw_corner(axes, view.kind, corner_point(explanation, corner), "white", 5.0)
    scale = sheet.axes(Place(left, POOL_TITLE_IN + height + 0.12, start + width - left, 0.1))
    show_scale(scale, POOL_COLORS, low, high)
