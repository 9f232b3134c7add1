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
from runtime.html_page import Chapter, Document, document_page

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
    precisions = ", ".join(result.subject.title for result in report.results.values())
    lead = (
        f"{precisions} compared on {len(report.images.examples)} images of {report.images.path}, "
        f"{report.findings.comparison.objects} annotated objects."
    )
    return document_page(
        Document(
            f"INT8 report: {contract.name} at {height}\N{MULTIPLICATION SIGN}{width}",
            lead,
            _chapters(report),
            f"Made by python -m calibration.report, {report.made}.",
        )
    )


def _chapters(report: Report) -> list[Chapter]:
    names = report.results["int8"].subject.contract.class_names
    contents = {
        "summary": headline(report.results, report.findings),
        "accuracy": accuracy(report.results, report.images),
        "detections": changed_detections(report.findings.comparison, report.cases, names),
        "scores": score_agreement(report.findings.comparison.score_pairs),
        "sensitivity": sensitivity(report.sensitivity),
        "ranges": ranges(report.ranges),
        "latency": latency(report.latencies),
        "provenance": provenance([result.subject for result in report.results.values()]),
    }
    return [Chapter(key, CHAPTERS[key], content) for key, content in contents.items()]
