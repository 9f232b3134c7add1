"""The sheet that explanations are drawn on: places in inches, colours, marks; matplotlib's home."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

from detectors.explain_labels import place_labels
from runtime.atomic_file import replace_when_done

rcParams["text.parse_math"] = False  # a "$" in the name of a file or class is no formula

WIDTH_IN = 16.0
MARGIN_IN = 0.3
GAP_IN = 0.25
TITLE_IN = 0.66  # a section's title and the titles of its panels
TEXT_PT, LABEL_PT, TITLE_PT = 9.5, 8.5, 14.0
CHARACTER_WIDTH = 0.62  # of the font's size; wider than most letters of DejaVu Sans
INK, FAINT = "#202020", "#6b6b6b"

# Colours that stay apart for colour-blind readers: Okabe and Ito, "Color Universal Design", 2008;
# ordered for a dark background, black left out.
PALETTE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
OTHER_CLASSES = "#B0B0B0"

# A corner's mark has its point at the corner and its arms along the box's edges.
CORNER_MARKS = {
    "tl": Outline([(1, 0), (0, 0), (0, -1)]),
    "br": Outline([(-1, 0), (0, 0), (0, 1)]),
}


@dataclass(frozen=True)
class Place:
    """A rectangle on a sheet, in inches from the sheet's top-left corner."""

    left: float
    top: float
    width: float
    height: float


class Sheet:
    """A figure on which panels are placed downwards from a line.

    Args:
        figure: What is drawn on.
        top_in: The line, in inches below the figure's top.
    """

    def __init__(self, figure: Figure, top_in: float = 0.0) -> None:
        self.figure = figure
        self.top_in = top_in

    @classmethod
    def blank(cls, height_in: float) -> Sheet:
        """Return an empty white sheet of the usual width."""
        return cls(Figure(figsize=(WIDTH_IN, height_in), facecolor="white"))

    def below(self, distance_in: float) -> Sheet:
        """Return the same sheet, with its line further down."""
        return Sheet(self.figure, self.top_in + distance_in)

    def axes(self, place: Place) -> Axes:
        """Add axes without ticks."""
        width, height = self.figure.get_size_inches()
        bottom = height - self.top_in - place.top - place.height
        axes = self.figure.add_axes(
            (place.left / width, bottom / height, place.width / width, place.height / height)
        )
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(color=FAINT, linewidth=0.6)
        return axes

    def text(self, left: float, top: float, words: str, **style: object) -> None:
        """Write a line whose top-left corner is at the place given in inches."""
        width, height = self.figure.get_size_inches()
        chosen = {"fontsize": TEXT_PT, "color": INK, "va": "top", "ha": "left"} | style
        self.figure.text(left / width, 1 - (self.top_in + top) / height, words, **chosen)

    def title(self, words: str, note: str) -> None:
        """Write a section's title, and what to look for."""
        self.text(MARGIN_IN, 0, words, fontsize=TITLE_PT, fontweight="bold")
        width = 0.72 * TITLE_PT * len(words) / 72  # bold letters are wider
        self.text(MARGIN_IN + width + 0.3, 0.045, note, color=FAINT, fontsize=TEXT_PT + 0.5)

    def save(self, path: Path, dpi: int) -> None:
        """Write the sheet as PNG, completely or not at all."""
        with replace_when_done(path) as partial:
            self.figure.savefig(partial, dpi=dpi, pil_kwargs={"optimize": True})


def fit_panel(image_hw: tuple[int, int], width: float, most_height: float) -> tuple[float, float]:
    """Return the width and height in inches of the largest panel with an image's shape."""
    height = width * image_hw[0] / image_hw[1]
    return (width, height) if height <= most_height else (most_height / height * width, most_height)


def show_image(axes: Axes, picture: np.ndarray) -> None:
    """Show a picture on axes that count its pixels; float or uint8 (H, W, 3), RGB."""
    height, width = picture.shape[:2]
    # A small picture keeps its pixels, a large one is smoothed as it shrinks.
    is_small = width < axes.get_window_extent().width
    axes.imshow(
        picture,
        extent=(0, width, height, 0),
        interpolation="nearest" if is_small else "antialiased",
    )
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("auto")


def dimmed(image: np.ndarray, level: float) -> np.ndarray:
    """Return a BGR picture in grey, as RGB floats: darker for a level below 0, paler above."""
    grey = (image.astype(np.float32) @ np.float32([0.114, 0.587, 0.299]) / 255)[..., None]
    kept = 1 - abs(level)
    return np.repeat(grey * kept + max(level, 0.0), 3, axis=2)


def draw_box(axes: Axes, box_xyxy: Sequence[float], color: object, **style: object) -> None:
    """Draw a rectangle with a dark edge around the line, so that it shows on every ground."""
    left, top, right, bottom = box_xyxy
    width = float(style.setdefault("linewidth", 1.8))
    axes.plot(
        [left, right, right, left, left],
        [top, top, bottom, bottom, top],
        color=color,
        path_effects=[withStroke(linewidth=width + 1.6, foreground="black", alpha=0.55)],
        **style,
    )


def draw_corner(axes: Axes, kind: str, point: Sequence[float], color: object, size: float) -> None:
    """Draw a corner's mark; the size is the length of its arms, in points."""
    width = 0.28 * size
    axes.plot(
        *point,
        marker=CORNER_MARKS[kind],
        markersize=2 * size,
        color=color,
        fillstyle="none",
        markeredgewidth=width,
        path_effects=[withStroke(linewidth=width + 1.4, foreground="black")],
        clip_on=False,
        zorder=5,
    )


@dataclass(frozen=True)
class Label:
    """Words to be placed near a point of a picture."""

    words: str
    point_xy: tuple[float, float]
    color: object


def draw_labels(
    axes: Axes, labels: Sequence[Label], boxes_xyxy: Sequence[Sequence[float]] = ()
) -> None:
    """Write labels on a picture, none over another and few over boxes.

    Args:
        axes: Show the picture and count its pixels.
        labels: What to write, the most important first.
        boxes_xyxy: Left, top, right and bottom of what should stay free.
    """
    if not labels:
        return
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    inches = axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())
    pixels_per_point = (right - left) / inches.width / 72
    widths = [len(label.words) * CHARACTER_WIDTH * LABEL_PT + 5 for label in labels]
    sizes = np.array([(width, LABEL_PT + 6) for width in widths]) * pixels_per_point
    anchors = np.array([label.point_xy for label in labels])
    boxes = np.array(boxes_xyxy, np.float64).reshape(-1, 4)
    places = place_labels(anchors, sizes, (right - left, bottom - top), boxes)
    for label, (x, y), (width, height) in zip(labels, places, sizes, strict=True):
        nearest = np.clip(label.point_xy, (x, y), (x + width, y + height))
        ends = zip(nearest, label.point_xy, strict=True)
        axes.plot(*ends, color=label.color, linewidth=1.0, zorder=5.5)
        axes.text(
            x + width / 2,
            y + height / 2,
            label.words,
            ha="center",
            va="center_baseline",
            fontsize=LABEL_PT,
            color=ink_on(label.color),
            bbox={"facecolor": label.color, "edgecolor": "black", "linewidth": 0.5, "pad": 1.5},
            zorder=6,
        )


def ink_on(color: object) -> str:
    """Return black or white, whichever is easier to read on a colour."""
    red, green, blue = to_rgb(color)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.45 else "white"


def class_colors(class_ids: Sequence[int]) -> dict[int, str]:
    """Give the classes of one image their colours; those beyond the palette share a grey."""
    ordered = sorted(set(class_ids))
    colors = (*PALETTE, *[OTHER_CLASSES] * len(ordered))
    return dict(zip(ordered, colors, strict=False))


def show_scale(axes: Axes, colors: Colormap, low: float, high: float, digits: int = 1) -> None:
    """Show a colour map as a bar with its two ends written below."""
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=colors, aspect="auto", extent=(low, high, 0, 1))
    axes.set_xticks([low, high], [f"{low:.{digits}f}", f"{high:.{digits}f}"], fontsize=LABEL_PT)
    axes.tick_params(length=2, pad=1.5, color=FAINT)
    first, last = axes.get_xticklabels()
    first.set_ha("left")
    last.set_ha("right")
