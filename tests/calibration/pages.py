"""Reading a page back: is it well-formed, and what does it load and say?"""

from __future__ import annotations

from html.parser import HTMLParser

VOID = frozenset({"img", "meta", "br"})


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        tags: Every element's name, in order.
        attributes: Every attribute of every element.
        ids: All identifiers.
    """

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(markup)
        self.close()
        assert self._open == [], f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"{tag} closed inside {self._open}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self._texts.append(data)

    @property
    def text(self) -> str:
        """What a reader sees, its spaces as one each."""
        return " ".join(" ".join(self._texts).split())

    def values(self, tag: str, name: str) -> list[str]:
        """Return an attribute of all elements of a name."""
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]


def check_self_contained(markup: str) -> Page:
    """Check that a page opens without a network and is sound; return it parsed."""
    page = Page(markup)
    assert page.tags.count("h1") == 1
    assert len(set(page.ids)) == len(page.ids)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "srcset", "data", "action", "poster"):
            assert value.startswith(("data:", "#")), f"{tag} loads {value[:80]}"
        assert not name.startswith("on"), f"{tag} has {name}"
    assert all(link[1:] in page.ids for link in page.values("a", "href"))
    assert "link" not in page.tags and "iframe" not in page.tags
    style = markup.split("<style>")[1].split("</style>", maxsplit=1)[0]
    assert "url(" not in style and "@import" not in style
    assert page.tags.count("img") == len([alt for alt in page.values("img", "alt") if alt])
    assert all(scope in ("col", "row") for scope in page.values("th", "scope"))
    assert page.tags.count("th") == len(page.values("th", "scope"))
    assert page.tags.count("table") == page.tags.count("caption")
    return page
