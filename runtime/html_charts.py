"""Charts as inline SVG: sharp in print, coloured by the page's style, small in bytes.

A fluid chart is as wide as the page and places things across in percent and down in pixels, so that
its text stays as large as the text around it on every screen.
"""

from __future__ import annotations

from runtime.html_parts import Html, join, tag

# Text beyond this part of the width is written to the left of its place.
_NEAR_THE_RIGHT = 70.0
# Colours of parts of a whole: ``hue0`` to ``hue9`` of the style.
HUES = 10
# The grey one among them: for what has no colour of its own.
REST_HUE = 8


def svg(size_wh: tuple[float, float], description: str, content: Html, kind: str) -> Html:
    """Return a chart that keeps its proportions.

    Args:
        size_wh: Width and height of its own coordinates.
        description: What it shows, for those who cannot see it.
        content: What is drawn.
        kind: Its CSS class.
    """
    box = f"0 0 {size_wh[0]:g} {size_wh[1]:g}"
    drawn = {"viewBox": box, "class_": kind, "role": "img", "aria_label": description}
    return tag("svg", content, **drawn)


def fluid(height_px: float, description: str, content: Html) -> Html:
    """Return a chart that is as wide as what it lies in; across it counts in percent.

    Args:
        height_px: Its height, in pixels of the page.
        description: What it shows, for those who cannot see it.
        content: What is drawn.
    """
    attributes = {"class_": "fluid", "role": "img", "aria_label": description}
    return tag("svg", content, height=f"{height_px:g}", **attributes)


def rectangle(
    left: float, right: float, top_px: float, height_px: float, kind: str = "bars"
) -> Html:
    """Return a rectangle of a fluid chart.

    Args:
        left: Percent from the left.
        right: The same, of its other side.
        top_px: Pixels from the top.
        height_px: Its height.
        kind: Its CSS class.
    """
    across = {"x": f"{left:.2f}%", "width": f"{max(0.0, right - left):.2f}%"}
    return tag("rect", y=f"{top_px:.1f}", height=f"{height_px:.1f}", class_=kind, **across)


def line(from_xy: tuple[float, float], to_xy: tuple[float, float], kind: str) -> Html:
    """Return a line of a fluid chart; x in percent, y in pixels."""
    ends = {"x1": f"{from_xy[0]:.2f}%", "x2": f"{to_xy[0]:.2f}%"}
    return tag("line", y1=f"{from_xy[1]:.1f}", y2=f"{to_xy[1]:.1f}", class_=kind, **ends)


def upright(x: float, top_px: float, bottom_px: float, kind: str) -> Html:
    """Return a vertical line of a fluid chart; x in percent."""
    return line((x, top_px), (x, bottom_px), kind)


def words(text: str, x: float, y_px: float, gap_px: float = 0) -> Html:
    """Return text of a fluid chart beside a place: to its left where the chart ends.

    Args:
        text: What it says.
        x: Percent from the left.
        y_px: Its base line.
        gap_px: Distance from the place.
    """
    is_left = x > _NEAR_THE_RIGHT
    return label(
        text,
        f"{x:.2f}%",
        f"{y_px:.1f}",
        anchor="end" if is_left else "start",
        dx=-gap_px if is_left else gap_px,
    )


def tick(text: str, x: float, y_px: float) -> Html:
    """Return an axis's number below its place; at the chart's ends it stays inside."""
    anchor = "start" if x < 4 else "end" if x > 96 else "middle"
    return label(text, f"{x:.2f}%", f"{y_px:.1f}", anchor=anchor)


def label(
    text: str, x: float | str, y: float | str, anchor: str = "middle", **more: float | str
) -> Html:
    """Return text of a chart.

    Args:
        text: What it says.
        x: Where it is anchored; a number is in the chart's own coordinates.
        y: Its base line.
        anchor: Which part of it lies there: "start", "middle" or "end".
        more: Other attributes.
    """
    return tag("text", text, x=x, y=y, text_anchor=anchor, **more)


def bar(value: float, largest: float, kind: str = "") -> Html:
    """Return a bar for a table's cell.

    It repeats the number beside it, so screen readers pass over it.

    Args:
        value: Its magnitude is drawn.
        largest: The magnitude that fills the cell.
        kind: CSS class of its colour; "" for that of a loss, or of a gain where the value is below
            zero.
    """
    share = min(1.0, abs(value) / largest) if largest > 0 else 0.0
    kind = kind or ("better" if value < 0 else "worse")
    filled = tag("rect", width=f"{100 * share:.1f}%", height="100%")
    return tag("svg", filled, class_=f"bar {kind}", aria_hidden="true")


def swatch(hue: int | str) -> Html:
    """Return a little square for a legend; screen readers pass over it.

    Args:
        hue: One of the colours by number, or any CSS class that fills.
    """
    colour = f"hue{hue % HUES}" if isinstance(hue, int) else hue
    square = tag("rect", width="100%", height="100%", class_=colour)
    return tag("svg", square, class_="swatch", aria_hidden="true")


def figure(chart: Html, caption: str = "") -> Html:
    """Return a chart with what is to be said about it."""
    return tag("figure", join((chart, tag("figcaption", caption) if caption else Html())))
