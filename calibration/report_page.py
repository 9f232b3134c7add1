"""The report's page: everything on it in one file that opens without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.report_accuracy import Findings, Result, accuracy, headline
from calibration.report_changes import changed_detections, score_agreement
from calibration.report_extras import Latency, Sensitivity
from calibration.report_inside import Ranges, latency, provenance, ranges, sensitivity
from calibration.report_measure import ImageSet
from calibration.report_pictures import Case
from runtime.html_parts import Html, join, open_tag, paragraph, tag
from runtime.html_style import SCRIPT, STYLE

CHAPTERS = {
    "summary": "In short",
    "accuracy": "Accuracy",
    "detections": "Detections",
    "scores": "Scores",
    "sensitivity": "Sensitivity",
    "ranges": "Ranges",
    "latency": "Latency",
    "provenance": "Provenance",
}


@dataclass(frozen=True, eq=False)
class Report:
    """Everything on the page.

    Attributes:
        results: Each model by precision; "fp32" and "int8" are measured.
        images: What they were measured on.
        findings: What is said about INT8.
        cases: Pictures of the most damaged images.
        ranges: What is known of the calibration.
        sensitivity: None if not given.
        latencies: What was given.
        made: Date and tools, for the foot of the page.
    """

    results: Mapping[str, Result]
    images: ImageSet
    findings: Findings
    cases: Sequence[Case]
    ranges: Ranges
    sensitivity: Sensitivity | None
    latencies: Sequence[Latency]
    made: str


def page(report: Report) -> str:
    """Return the page as an HTML document."""
    contract = report.results["int8"].subject.contract
    height, width = contract.size_hw
    title = f"INT8 report: {contract.name} at {height}\N{MULTIPLICATION SIGN}{width}"
    head = tag(
        "head",
        open_tag("meta", charset="utf-8"),
        open_tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(STYLE)),
        tag("script", Html(SCRIPT)),
    )
    body = tag("body", _header(title, report), tag("main", _sections(report)), _footer(report))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _header(title: str, report: Report) -> Html:
    precisions = ", ".join(result.subject.title for result in report.results.values())
    lead = (
        f"{precisions} compared on {len(report.images.examples)} images of {report.images.path}, "
        f"{report.findings.comparison.objects} annotated objects."
    )
    links = (tag("li", tag("a", name, href=f"#{key}")) for key, name in CHAPTERS.items())
    return tag(
        "header",
        tag("h1", title),
        paragraph(lead, kind="lead"),
        tag("nav", tag("ul", *links), aria_label="Sections"),
    )


def _sections(report: Report) -> Html:
    names = report.results["int8"].subject.contract.class_names
    return join(
        (
            headline(report.results, report.findings),
            accuracy(report.results, report.images),
            changed_detections(report.findings.comparison, report.cases, names),
            score_agreement(report.findings.comparison.score_pairs),
            sensitivity(report.sensitivity),
            ranges(report.ranges),
            latency(report.latencies),
            provenance([result.subject for result in report.results.values()]),
        )
    )


def _footer(report: Report) -> Html:
    return tag("footer", paragraph(f"Made by python -m calibration.report, {report.made}."))
