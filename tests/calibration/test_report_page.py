"""The page as a whole: every chapter is there, linked, and escaped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from calibration.report_inside import Ranges
from calibration.report_measure import read_images
from calibration.report_page import CHAPTERS, Report, page
from tests.calibration.pages import check_self_contained
from tests.calibration.report_sets import AWKWARD, CLASS_NAMES, write_set
from tests.calibration.test_report_accuracy import NOTHING_CHANGED, results


def make_report(folder: Path) -> Report:
    images = read_images(write_set(folder / f"val {AWKWARD}"), None, CLASS_NAMES)
    return Report(
        results(), images, NOTHING_CHANGED, [], Ranges("", absence="None."), None, [], "today"
    )


def test_every_chapter_is_linked_in_its_order(tmp_path: Path):
    parsed = check_self_contained(page(make_report(tmp_path)))
    assert parsed.values("a", "href") == [f"#{key}" for key in CHAPTERS]
    assert [key for key in parsed.ids if not key.endswith("-title")] == list(CHAPTERS)
    assert "Made by python -m calibration.report, today." in parsed.text


def test_names_of_files_and_networks_are_text(tmp_path: Path):
    report = make_report(tmp_path)
    named = {
        precision: replace(
            result,
            subject=replace(
                result.subject, contract=replace(result.subject.contract, name=AWKWARD)
            ),
        )
        for precision, result in report.results.items()
    }
    markup = page(replace(report, results=named))
    parsed = check_self_contained(markup)
    assert AWKWARD not in markup and "b" not in parsed.tags
    assert f"INT8 report: {AWKWARD} at 64\u00d764" in parsed.text
    assert f"images of {tmp_path}/val {AWKWARD}" in parsed.text
