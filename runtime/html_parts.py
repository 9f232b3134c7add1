"""HTML in small pieces: text is escaped here, once, wherever it comes from.

``Html`` marks what is markup already; everything else that goes into a page is text.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class Html(str):
    """Markup that is safe to put into a page as it is."""

    __slots__ = ()


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes:
        content: Text, or markup.
        kind: Its CSS class; "" for none.
    """

    content: str
    kind: str = ""


def markup(content: str) -> Html:
    """Return text escaped, and markup as it is."""
    return content if isinstance(content, Html) else Html(html.escape(content))


def tag(name: str, /, *content: str, **attributes: str | float) -> Html:
    """Return an element.

    Args:
        name: Of the element.
        content: What is in it; text is escaped.
        attributes: Its attributes; a trailing underscore is dropped, others become hyphens.
    """
    return Html(f"{open_tag(name, **attributes)}{join(content)}</{name}>")


def open_tag(name: str, /, **attributes: str | float) -> Html:
    """Return the start of an element, which is all of it for ``img`` and ``meta``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{written}>")


def join(parts: Iterable[str]) -> Html:
    """Return pieces one after the other; text is escaped."""
    return Html("".join(map(markup, parts)))


def paragraph(*content: str, kind: str = "") -> Html:
    """Return a paragraph."""
    return tag("p", *content, class_=kind) if kind else tag("p", *content)


def table(caption: str, head: Sequence[str | Cell], rows: Iterable[Sequence[str | Cell]]) -> Html:
    """Return a table whose first column names its rows; it scrolls on its own where it is wide.

    Args:
        caption: What the table tells; read out by screen readers.
        head: Column titles.
        rows: Cells, one for each column.
    """
    titles = tag("tr", *(_column_title(title) for title in head))
    body = join(tag("tr", _row_title(first), *map(_cell, others)) for first, *others in rows)
    content = (tag("caption", tag("span", caption)), tag("thead", titles), tag("tbody", body))
    # Reached by keyboard, so that it can be scrolled without a mouse.
    return tag("div", tag("table", *content), class_="scroll", tabindex=0)


def section(identifier: str, title: str, *content: str) -> Html:
    """Return a section with its heading."""
    heading = tag("h2", title, id=f"{identifier}-title")
    return tag("section", heading, *content, id=identifier, aria_labelledby=f"{identifier}-title")


def folded(summary: str, *content: str) -> Html:
    """Return what a reader may unfold; printing leaves it as it is."""
    return tag("details", tag("summary", summary), *content)


def picture(jpeg: bytes, description: str) -> Html:
    """Return an image that is part of the page."""
    data = base64.b64encode(jpeg).decode("ascii")
    return open_tag("img", src=f"data:image/jpeg;base64,{data}", alt=description)


def _column_title(cell: str | Cell) -> Html:
    return _cell(cell, "th", scope="col")


def _row_title(cell: str | Cell) -> Html:
    return _cell(cell, "th", scope="row")


def _cell(cell: str | Cell, name: str = "td", **attributes: str) -> Html:
    if not isinstance(cell, Cell):
        return tag(name, cell, **attributes)
    kind = {"class_": cell.kind} if cell.kind else {}
    return tag(name, cell.content, **kind, **attributes)
