"""Escaping and the small pieces of HTML."""

from __future__ import annotations

import base64

import pytest

from runtime.html_parts import Cell, Html, folded, join, markup, picture, section, table, tag
from tests.calibration.pages import Page
from tests.calibration.report_sets import AWKWARD


def test_text_is_escaped_and_markup_is_not():
    assert markup(AWKWARD) == "&lt;b&gt;&amp;&quot;&#x27;"
    assert markup(Html("<b>")) == "<b>"
    assert tag("p", AWKWARD, tag("b", "x")) == "<p>&lt;b&gt;&amp;&quot;&#x27;<b>x</b></p>"


def test_what_is_escaped_once_is_not_escaped_again():
    assert markup(markup(AWKWARD)) == markup(AWKWARD)
    assert Page(tag("p", join(["a", AWKWARD]))).text == f"a{AWKWARD}"


def test_attributes_are_escaped_and_renamed():
    page = Page(tag("p", "x", class_="a", aria_label=AWKWARD))
    assert page.values("p", "class") == ["a"]
    assert page.values("p", "aria-label") == [AWKWARD]


@pytest.mark.parametrize("cell", ["x", Cell("x", "worse"), Cell(Html("<b>x</b>"))])
def test_a_table_names_its_rows_and_columns(cell):
    page = Page(table("what it tells", ("a", AWKWARD), [("row", cell), (AWKWARD, cell)]))
    assert page.values("th", "scope") == ["col", "col", "row", "row"]
    assert page.tags.count("td") == 2 and page.tags.count("caption") == 1
    assert page.values("td", "class") == (["worse"] * 2 if getattr(cell, "kind", "") else [])


def test_an_empty_table():
    assert "td" not in Page(table("nothing", ("a",), [])).tags


def test_a_section_is_named_by_its_heading():
    page = Page(section("part", "A part", folded("more", "inside")))
    assert page.values("section", "aria-labelledby") == ["part-title"]
    assert page.ids == ["part", "part-title"]
    assert page.text == "A part more inside"


def test_a_picture_is_part_of_the_page():
    page = Page(picture(b"jpeg", AWKWARD))
    (source,) = page.values("img", "src")
    assert base64.b64decode(source.removeprefix("data:image/jpeg;base64,")) == b"jpeg"
    assert page.values("img", "alt") == [AWKWARD]
