"""The shell of a page: what browsers are told, and where the parts lie."""

from __future__ import annotations

import base64
import hashlib
import re

from runtime.html_page import Chapter, Document, document_page
from runtime.html_parts import section
from tests.calibration.pages import Page, check_self_contained
from tests.calibration.report_sets import AWKWARD

CHAPTERS = [
    Chapter("first", f"One {AWKWARD}", section("first", "The first", "a")),
    Chapter("second", "Two", section("second", "The second", "b")),
]


def made(**changes: str) -> str:
    document = Document(f"Title {AWKWARD}", f"Lead {AWKWARD}", CHAPTERS, f"Made {AWKWARD}")
    return document_page(Document(**{**vars(document), **changes}))


def policy_of(markup: str) -> dict[str, list[str]]:
    page = Page(markup)
    (policy,) = [value for value in page.values("meta", "content") if "default-src" in value]
    assert page.values("meta", "http-equiv") == ["Content-Security-Policy"]
    return {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}


def digest(markup: str, name: str) -> str:
    (source,) = re.findall(f"<{name}>(.*?)</{name}>", markup, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def test_chapters_are_linked_and_shown_in_their_order():
    page = check_self_contained(made())
    assert page.values("a", "href") == ["#first", "#second"]
    assert page.ids == ["first", "first-title", "second", "second-title"]
    assert page.text.endswith(f"The second b Made {AWKWARD}")


def test_all_names_are_text():
    markup = made()
    assert AWKWARD not in markup
    assert f"Title {AWKWARD} Lead {AWKWARD} One {AWKWARD} Two" in Page(markup).text


def test_browsers_may_use_the_pages_own_style_and_script_and_nothing_else():
    markup = made()
    policy = policy_of(markup)
    assert policy["default-src"] == ["'none'"]
    assert policy["style-src"] == [digest(markup, "style")]
    assert policy["script-src"] == [digest(markup, "script")]
    assert policy["img-src"] == ["data:"]
    assert policy["base-uri"] == policy["form-action"] == ["'none'"]
    # The policy counts for what follows it.
    assert markup.index("Content-Security-Policy") < markup.index("<style>")


def test_a_style_of_its_own_follows_the_common_one_and_is_allowed():
    markup = made(style=".own { color: red; }")
    assert ".own { color: red; }</style>" in markup
    assert policy_of(markup)["style-src"] == [digest(markup, "style")]
    assert digest(markup, "style") != digest(made(), "style")


def test_the_page_fits_a_phone_and_says_its_language():
    page = Page(made())
    assert "width=device-width, initial-scale=1" in page.values("meta", "content")
    assert page.values("html", "lang") == ["en"]
    assert page.values("meta", "charset") == ["utf-8"]
