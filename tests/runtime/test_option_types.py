"""Types of values on the command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import pytest

from runtime.option_types import add_group, group_from, number_from, size_hw


@dataclass(frozen=True)
class Group:
    """Two values."""

    first: int
    second_one: str


def test_a_group_takes_its_own_values_only() -> None:
    namespace = argparse.Namespace(first=1, second_one="b", third=None)
    assert group_from(Group, namespace) == Group(1, "b")


def test_a_group_that_lacks_a_value_is_our_mistake() -> None:
    with pytest.raises(AttributeError, match="second_one"):
        group_from(Group, argparse.Namespace(first=1))


def test_a_title_heads_the_help() -> None:
    parser = argparse.ArgumentParser()
    add_group(parser, "sources").add_argument("--camera")
    assert "sources:" in parser.format_help()


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 1e-3)]
)
def test_numbers(text: str, value: float) -> None:
    assert number_from(0, 1)(text) == value


@pytest.mark.parametrize("text", ["-0.1", "1.1", "nan", "inf", "-inf", "one", ""])
def test_no_numbers(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number from 0 to 1"):
        number_from(0, 1)(text)


def test_a_bound_on_one_side_only() -> None:
    assert number_from(2)("1e9") == 1e9
    with pytest.raises(argparse.ArgumentTypeError, match=r"got 'inf'; expected a number from 2$"):
        number_from(2)("inf")


def test_sizes_are_width_times_height_for_people_and_height_first_for_us() -> None:
    assert size_hw("1280x720") == size_hw("1280X720") == (720, 1280)


@pytest.mark.parametrize("text", ["", "640", "x480", "640x", "0x480", "640x0", "640x-1", "a x b"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected WIDTHxHEIGHT"):
        size_hw(text)
