"""Values of JSON that become dataclasses, and every way in which they are refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from runtime.errors import UsageError
from runtime.strict_json import StrictParser

PARSER = StrictParser(UsageError, "make it again")


@dataclass(frozen=True)
class Inner:
    """A section."""

    count: int
    name: str = "unnamed"


@dataclass(frozen=True)
class Outer:
    """Every kind of field."""

    whole: int
    share: float
    text: str
    pair: tuple[int, int]
    many: tuple[float, ...]
    table: dict[str, float]
    free: dict[str, Any]
    inner: Inner | None
    maybe: float | None
    sections: tuple[Inner, ...]
    is_late: bool = False
    later: Inner | None = None
    rounds: dict[str, tuple[int, ...]] = field(default_factory=dict)


GOOD: dict[str, Any] = {
    "whole": 3,
    "share": 1,
    "text": "a",
    "pair": [1, 2],
    "many": [1, 2.5],
    "table": {"a": 1},
    "free": {"a": [1, {"b": None}]},
    "inner": {"count": 4, "name": "b"},
    "maybe": None,
    "sections": [{"count": 1, "name": "c"}],
    "rounds": {"a": [1, 2]},
}


@dataclass(frozen=True)
class Other:
    """Another section, whose keys those of ``Inner`` are not."""

    count: int
    share: float


@dataclass(frozen=True)
class Either:
    """A section of one of two kinds."""

    section: Inner | Other


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ({"count": 1, "name": "a"}, Inner(1, "a")),
        ({"count": 1, "share": 2}, Other(1, 2.0)),
    ],
)
def test_of_two_sections_it_is_the_one_whose_keys_fit(
    section: dict[str, Any], wanted: object
) -> None:
    assert PARSER.parse(Either, {"section": section}, "f.json") == Either(wanted)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"count": 1}, "lacks key 'name'; make it again"),  # the first of two that fit alike
        ({"count": 1, "share": 2, "more": 3}, "unknown key 'more'; expected .'count', 'share'"),
        ([], r"f.json:section is \[\]; expected an object"),
        (None, "f.json:section is None; expected an object"),
    ],
)
def test_where_neither_fits_the_nearest_says_why(section: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PARSER.parse(Either, {"section": section}, "f.json")


def test_every_kind_of_field_is_read() -> None:
    assert PARSER.parse(Outer, GOOD, "f.json") == Outer(
        whole=3,
        share=1.0,
        text="a",
        pair=(1, 2),
        many=(1.0, 2.5),
        table={"a": 1.0},
        free={"a": [1, {"b": None}]},
        inner=Inner(4, "b"),
        maybe=None,
        sections=(Inner(1, "c"),),
        rounds={"a": (1, 2)},
    )


def test_whole_numbers_become_floats_where_floats_are_expected() -> None:
    read = PARSER.parse(Outer, GOOD, "f.json")
    assert type(read.share) is float and type(read.table["a"]) is float


def test_a_section_may_be_none_only_where_it_says_so() -> None:
    assert PARSER.parse(Outer, {**GOOD, "inner": None}, "f.json").inner is None
    with pytest.raises(UsageError, match=r"f\.json:sections\[0\] is None; expected an object"):
        PARSER.parse(Outer, {**GOOD, "sections": [None]}, "f.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"whole": 1.5}, r"f\.json:whole is 1\.5; expected int"),
        ({"whole": True}, r"f\.json:whole is True; expected int"),
        ({"share": "1"}, r"f\.json:share is '1'; expected float"),
        ({"share": math.nan}, r"f\.json:share is nan; expected a finite number"),
        ({"share": math.inf}, r"f\.json:share is inf; expected a finite number"),
        ({"share": 10**400}, r"f\.json:share is inf; expected a finite number"),
        ({"many": [1, math.nan]}, r"f\.json:many\[1\] is nan; expected a finite number"),
        ({"share": None}, r"f\.json:share is None; expected float"),
        ({"is_late": 1}, r"f\.json:is_late is 1; expected bool"),
        ({"maybe": "x"}, r"f\.json:maybe is 'x'; expected float or NoneType"),
        ({"pair": [1]}, r"f\.json:pair has 1 entries; expected 2"),
        ({"pair": 1}, r"f\.json:pair is 1; expected a list"),
        ({"many": [1, "2"]}, r"f\.json:many\[1\] is '2'; expected float"),
        ({"table": [1]}, r"f\.json:table is \[1\]; expected an object"),
        ({"table": {"a": "b"}}, r"f\.json:table:a is 'b'; expected float"),
        ({"rounds": {"a": [None]}}, r"f\.json:rounds:a\[0\] is None; expected int"),
        ({"inner": 3}, r"f\.json:inner is 3; expected an object"),
        ({"inner": {"count": 1, "nmae": "x"}}, r"f\.json:inner has unknown key 'nmae'"),
        ({"inner": {"name": "x"}}, r"f\.json:inner lacks key 'count'; make it again"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PARSER.parse(Outer, {**GOOD, **change}, "f.json")


def test_a_missing_key_is_named_unless_it_came_later() -> None:
    less = {key: value for key, value in GOOD.items() if key != "text"}
    with pytest.raises(UsageError, match=r"f\.json lacks key 'text'; make it again"):
        PARSER.parse(Outer, less, "f.json")
    assert PARSER.parse(Outer, GOOD, "f.json").later is None


def test_something_else_than_an_object_is_refused() -> None:
    with pytest.raises(UsageError, match=r"f\.json is \[\]; expected an object"):
        PARSER.parse(Outer, [], "f.json")
