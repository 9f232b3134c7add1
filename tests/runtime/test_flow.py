"""What is dropped, and what is run at once."""

from __future__ import annotations

import pytest

from runtime.errors import UsageError
from runtime.flow import Batching, Dropping
from runtime.frame_buffer import DropPolicy


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("auto", Dropping()),
        ("latest", Dropping(DropPolicy.LATEST)),
        ("block", Dropping(DropPolicy.BLOCK)),
        ("every-1", Dropping()),
        ("every-30", Dropping(every=30)),
    ],
)
def test_texts(text: str, wanted: Dropping) -> None:
    assert Dropping.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "newest", "every-", "every-0", "every--3", "every-1.5", "3"])
def test_what_makes_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="expected auto, latest, block, or every-N"):
        Dropping.parse(text)


def test_each_kind_of_source_has_its_policy_unless_one_is_asked_for() -> None:
    assert Dropping().policy_for(is_live=True) is DropPolicy.LATEST
    assert Dropping().policy_for(is_live=False) is DropPolicy.BLOCK
    assert Dropping(every=3).policy_for(is_live=True) is DropPolicy.LATEST
    for asked in DropPolicy:
        assert Dropping(asked).policy_for(True) is Dropping(asked).policy_for(False) is asked


@pytest.mark.parametrize(
    ("most", "cameras", "engine", "wanted"),
    [
        (None, 4, None, 1),  # a processor: batches gain nothing
        (None, 4, 8, 4),
        (None, 4, 2, 2),
        (None, 1, 8, 1),
        (None, 4, 1, 1),
        (3, 1, None, 3),
        (8, 2, 8, 8),
    ],
)
def test_batches(most: int | None, cameras: int, engine: int | None, wanted: int) -> None:
    assert Batching(most).size_for(cameras, engine) == wanted


def test_a_batch_that_the_engine_does_not_take() -> None:
    with pytest.raises(UsageError, match="--batch got 4; expected at most 2, what the engine was"):
        Batching(4).size_for(4, 2)
