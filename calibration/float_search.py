"""Which convolutions to return to float, with few looks at an expensive test.

The test is average precision on hundreds of images; the ranking that guides the search is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

# A set of convolutions -> whether the model passes with them in float.
Test = Callable[[frozenset[str]], bool]

# How often a smaller set is tried, after one that passes was found.
MOST_RETRIES = 8


def find_floats(
    ranked: Sequence[str], passes: Test, retries: int = MOST_RETRIES
) -> list[str] | None:
    """Return convolutions whose return to float passes the test: few, and none without need.

    Numbers of convolutions are doubled until the test passes, then halved in between; of those
    found, each group that is not needed goes back to INT8.

    Args:
        ranked: Convolutions in INT8, most sensitive first; with all of them the test failed.
        passes: The test; it may be asked for a set twice.
        retries: Bound of the tests that only make the set smaller.

    Returns:
        Some of ``ranked``, in its order; None if the test fails even where one stays in INT8.
    """
    number = _fewest(ranked, passes)
    return None if number is None else _take_back(list(ranked[:number]), passes, retries)


def _fewest(ranked: Sequence[str], passes: Test) -> int | None:
    """Return how many of the first must be float; None if all but one do not suffice.

    More convolutions in float are taken to be more accurate. Where they are not, the number is one
    that passes, if not the smallest.
    """
    most = len(ranked) - 1
    failing, passing = 0, min(1, most)
    while not passes(frozenset(ranked[:passing])):
        if passing == most:
            return None
        failing, passing = passing, min(2 * passing, most)
    while passing - failing > 1:
        middle = (failing + passing) // 2
        if passes(frozenset(ranked[:middle])):
            passing = middle
        else:
            failing = middle
    return passing


def _take_back(floats: list[str], passes: Test, retries: int) -> list[str]:
    """Put into INT8 again what is not needed in float: all but the last, then halves of that.

    The last one is needed: without it the others failed.
    """
    groups = [floats[:-1]] if len(floats) > 1 else []
    while groups and retries > 0:
        group = groups.pop(0)
        remaining = [name for name in floats if name not in group]
        retries -= 1
        if passes(frozenset(remaining)):
            floats = remaining
        elif len(group) > 1:
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]  # the less sensitive are likelier to go
    return floats
