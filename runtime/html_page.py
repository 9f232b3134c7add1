"""The shell of a page that is one file: it opens without a network and loads nothing.

Sections come from outside; title, lead, navigation, looks and footer are the same for every page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.html_parts import Html, open_tag, paragraph, tag
from runtime.html_style import SCRIPT, STYLE


@dataclass(frozen=True)
class Chapter:
    """One section and its link.

    Attributes:
        key: Identifier of the section; see ``html_parts.section``.
        name: Its name in the navigation, short.
        content: The section.
    """

    key: str
    name: str
    content: Html


@dataclass(frozen=True)
class Document:
    """Everything on a page.

    Attributes:
        title: In the browser's tab and on top.
        lead: One or two sentences below it.
        chapters: In the order of the page.
        made: What made the page and when; the last line.
        style: CSS that follows the common one, for what is on this page only.
    """

    title: str
    lead: str
    chapters: Sequence[Chapter]
    made: str
    style: str = ""


def document_page(document: Document) -> str:
    """Return the page as an HTML document."""
    style = STYLE + document.style
    head = tag(
        "head",
        open_tag("meta", charset="utf-8"),
        open_tag("meta", http_equiv="Content-Security-Policy", content=_policy(style)),
        open_tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", document.title),
        tag("style", Html(style)),
        tag("script", Html(SCRIPT)),
    )
    sections = tag("main", *(chapter.content for chapter in document.chapters))
    footer = tag("footer", paragraph(document.made))
    body = tag("body", _header(document), sections, footer)
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _header(document: Document) -> Html:
    links = (tag("li", tag("a", c.name, href=f"#{c.key}")) for c in document.chapters)
    return tag(
        "header",
        tag("h1", document.title),
        paragraph(document.lead, kind="lead"),
        tag("nav", tag("ul", *links), aria_label="Sections"),
    )


def _policy(style: str) -> str:
    """Return what browsers may do for the page: its one style, its one script, its own pictures.

    Names on a page come from users' files: even if one slipped through the escaping, it would load
    and run nothing.
    """
    rules = ("default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'")
    return "; ".join((*rules, f"style-src {_digest(style)}", f"script-src {_digest(SCRIPT)}"))


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
