"""The search for convolutions to return to float, with tests that count."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from calibration.float_search import find_floats

NAMES = [f"c{i:02d}" for i in range(46)]


class Needs:
    """Passes where certain convolutions are in float; remembers what it was asked."""

    def __init__(self, passes: Callable[[frozenset[str]], bool]) -> None:
        self._passes = passes
        self.asked: list[frozenset[str]] = []

    def __call__(self, floats: frozenset[str]) -> bool:
        self.asked.append(floats)
        return self._passes(floats)


def needing(names: Collection[str]) -> Needs:
    return Needs(frozenset(names).issubset)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 20, 44, 45])
def test_the_first_ones_are_enough(number: int) -> None:
    needs = needing(NAMES[:number])
    assert find_floats(NAMES, needs) == NAMES[:number]
    assert len(needs.asked) <= 2 * 6 + 8


def test_what_is_not_needed_goes_back() -> None:
    needs = needing(["c06"])
    assert find_floats(NAMES, needs) == ["c06"]
    needs = needing(["c00", "c01", "c07"])
    assert find_floats(NAMES, needs) == ["c00", "c01", "c07"]


def test_retries_are_bounded() -> None:
    needs = needing(["c00", "c13", "c15"])
    unlimited = find_floats(NAMES, needs, retries=99)
    assert unlimited == ["c00", "c13", "c15"]
    without = needing(["c00", "c13", "c15"])
    assert find_floats(NAMES, without, retries=0) == NAMES[:16]
    assert len(needs.asked) > len(without.asked)


def test_the_result_always_passes_even_where_more_float_is_worse() -> None:
    odd = Needs(lambda floats: len(floats) % 3 == 2)
    found = find_floats(NAMES, odd)
    assert found is not None and len(found) % 3 == 2


def test_one_stays_in_int8() -> None:
    never = Needs(lambda floats: False)
    assert find_floats(NAMES, never) is None
    assert max(map(len, never.asked)) == len(NAMES) - 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_convolutions(count: int) -> None:
    names = NAMES[:count]
    assert find_floats(names, Needs(lambda floats: False)) is None
    if count > 1:
        assert find_floats(names, needing(names[:1])) == names[:1]
        assert find_floats(names, needing(names[:-1])) == names[:-1]
