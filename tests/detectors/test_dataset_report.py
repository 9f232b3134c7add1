"""The report on a dataset: one line, and one for each finding."""

from __future__ import annotations

from detectors.dataset_report import HARMLESS, DatasetReport, Finding


def test_an_untroubled_set_is_one_short_line():
    report = DatasetReport(images=3, objects=5)
    assert report.summary() == "3 images, 5 objects"
    assert report.details() == [] and report.problems == 0


def test_findings_are_counted_and_told_in_their_order_with_the_first_cases():
    report = DatasetReport(images=3, objects=5)
    report.add(Finding.ZERO_AREA, (f"{i}.png" for i in range(5)))
    report.add(Finding.IMAGE_MISSING, ["a.png"])
    report.add(Finding.ZERO_AREA, ["last.png"], count=10)
    assert report.counts == {Finding.ZERO_AREA: 15, Finding.IMAGE_MISSING: 1}
    assert report.summary() == (
        "3 images, 5 objects; missing images, left out with their objects: 1; "
        "boxes of zero area, left out: 15"
    )
    assert report.details() == [
        "missing images, left out with their objects: 1 (a.png)",
        "boxes of zero area, left out: 15 (0.png, 1.png, 2.png, ...)",
    ]


def test_cases_of_later_calls_fill_up_to_three():
    report = DatasetReport()
    for name in "abcde":
        report.add(Finding.CLIPPED, [name])
    assert report.cases[Finding.CLIPPED] == ["a", "b", "c"]


def test_a_finding_that_was_not_made_leaves_no_trace():
    report = DatasetReport()
    report.add(Finding.CLIPPED, [])
    assert not report.counts and not report.cases


def test_empty_images_and_crowds_are_no_problem():
    report = DatasetReport()
    for finding in Finding:
        report.add(finding, ["x"])
    assert report.problems == len(Finding) - len(HARMLESS) == len(Finding) - 3
