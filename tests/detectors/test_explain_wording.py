"""What the list of failures says, word for word."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.explain_image import Truth
from detectors.explain_wording import Finding, describe_failures, object_mark
from tests.detectors.explained import Peak, one_object
from tests.detectors.explanations import PEAKS, an_explanation


def said(*peaks: Peak, truth: Truth | None = None) -> list[tuple[str, str, str, str]]:
    found = describe_failures(an_explanation(peaks, truth))
    return [(f.kind, f.mark, f.title, f.reason) for f in found]


def test_every_kind_in_its_order() -> None:
    findings = describe_failures(an_explanation())
    assert [f.kind for f in findings] == ["wrong", "missed", "unpaired", *["ambiguous"] * 2]


def test_a_second_box_of_an_object() -> None:
    wrong: Finding = describe_failures(an_explanation())[0]
    assert (wrong.mark, wrong.title) == ("2", "dog 0.79")
    assert wrong.reason == "top-left corner of A, but its bottom-right corner is no object's"


def test_a_box_over_two_objects() -> None:
    truth = Truth(np.array([[16.0, 20, 30, 34], [36, 44, 48, 56]]), np.array([1, 1]))
    ((_, mark, _, reason), *missed) = said(*one_object(), truth=truth)
    assert mark == "1"
    assert reason == "top-left corner of A, bottom-right of B: embeddings 0.10 apart"
    assert [row[1:] for row in missed] == [
        ("A", "dog", "no bottom-right corner"),
        ("B", "dog", "no top-left corner"),
    ]


def test_a_box_of_an_object_that_is_not_there() -> None:
    nothing = Truth(np.zeros((0, 4)), np.zeros(0, np.int64))
    assert said(*one_object(), truth=nothing) == [
        ("wrong", "1", "dog 0.85", "no dog is annotated at either corner")
    ]


def test_a_missed_object_with_a_weak_corner_far_away() -> None:
    first, second = one_object()
    weak = second._replace(score=0.05, embedding=2.0)
    truth = Truth(np.array([[16.0, 20, 48, 56]]), np.array([1]))
    missed = said(first, weak, truth=truth)[0]
    assert missed[3] == (
        "bottom-right corner scores 0.05, below 0.30; embeddings 2.00 apart, limit 0.50"
    )


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (
            Peak("br", 12, 14, 1, 0.8, 2.0),
            "nearest partner u2, bottom-right dog 0.80: embeddings 2.00 apart, limit 0.50",
        ),
        (
            Peak("br", 12, 14, 2, 0.8, 0.0),
            "nearest partner u2, bottom-right owl 0.80: another class",
        ),
        (
            Peak("br", 2, 2, 1, 0.8, 0.0),
            "nearest partner u2, bottom-right dog 0.80: "
            "not below and to the right of the top-left corner",
        ),
        (
            Peak("br", 12, 14, 1, 0.05, 0.0),
            "nearest partner bottom-right dog 0.05: weaker than 0.30",
        ),
    ],
)
def test_a_corner_alone(other: Peak, reason: str) -> None:
    found = said(one_object()[0], other)[0]
    assert found == ("unpaired", "u1", "top-left corner, dog 0.90", reason)


def test_a_box_in_doubt_names_the_other_corner_and_both_distances() -> None:
    doubts = [row for row in said(*PEAKS) if row[0] == "ambiguous"]
    assert doubts[0] == (
        "ambiguous",
        "2",
        "dog 0.79",
        "its top-left corner also fits box 1's bottom-right dog 0.80: "
        "embeddings 0.10 apart, its own 0.30",
    )
    assert doubts[1][1] == "1"


def test_without_annotations_nothing_is_called_wrong() -> None:
    assert {row[0] for row in said(*PEAKS)} == {"unpaired", "ambiguous"}
    assert said() == []


@pytest.mark.parametrize(("index", "mark"), [(0, "A"), (25, "Z"), (26, "A1"), (53, "B2")])
def test_marks_of_objects(index: int, mark: str) -> None:
    assert object_mark(index) == mark
