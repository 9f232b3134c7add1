"""The report's first sections: what INT8 costs, in one sentence and in tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calibration.report_comparison import Comparison
from calibration.report_measure import ImageSet, Measurement, Unmeasured
from calibration.report_subjects import Int8Share, Subject
from detectors.average_precision import ClassPrecision
from runtime.html_charts import bar
from runtime.html_parts import Cell, Html, folded, join, markup, paragraph, section, table, tag

Result = Measurement | Unmeasured
FIGURES = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "AP small",
    "ap_medium": "AP medium",
    "ap_large": "AP large",
}
ABSENT = "no such objects"
# More classes than this are folded away.
CLASSES_SHOWN = 20


@dataclass(frozen=True)
class Findings:
    """What is said about INT8 in the first lines.

    Attributes:
        error: Standard error of the difference in AP, in [0, 1]; None with too few images.
        share: How much runs in INT8; None where the file does not tell.
        comparison: FP32's and INT8's detections.
    """

    error: float | None
    share: Int8Share | None
    comparison: Comparison


def headline(results: Mapping[str, Result], findings: Findings) -> Html:
    """Return the cards with each model's AP and size, and what there is to say about INT8.

    Args:
        results: By precision; "fp32" and "int8" are measured.
        findings: What else is said.
    """
    reference = _measured(results, "fp32")
    cards = (_card(result, reference) for result in results.values())
    sentences = (
        _cost(results, findings.error),
        _changes(findings.comparison),
        _share_sentence(findings.share),
        _gate_sentence(results["int8"].subject),
    )
    return section(
        "summary",
        "In short",
        tag("div", *cards, class_="cards"),
        tag("ul", *(tag("li", sentence) for sentence in sentences)),
    )


def accuracy(results: Mapping[str, Result], images: ImageSet) -> Html:
    """Return COCO's figures of every model, and how each was run."""
    reference = _measured(results, "fp32")
    rows: list[list[str | Cell]] = []
    for result in results.values():
        if isinstance(result, Unmeasured):
            rows.append([result.subject.title, *["not measured"] * len(FIGURES)])
            continue
        values = {name: getattr(result.scores.precision, name) for name in FIGURES}
        rows.append([result.subject.title, *(points(value) for value in values.values())])
        if result is not reference:
            before = (getattr(reference.scores.precision, name) for name in FIGURES)
            deltas = map(difference, values.values(), before)
            rows.append([f"{result.subject.title} less FP32", *deltas])
    caption = (
        f"COCO average precision in points (0 to 100) on {_how_many(images)} images of "
        f"{images.path}"
    )
    how = (tag("li", tag("strong", r.subject.title), ": ", _how(r)) for r in results.values())
    return section(
        "accuracy",
        "Accuracy",
        table(caption, ("model", *FIGURES.values()), rows),
        tag("ul", *how),
        tag("h3", "By class"),
        per_class(results),
    )


def per_class(results: Mapping[str, Result]) -> Html:
    """Return AP of every class in every measured model, the largest loss of INT8 first."""
    measured = [result for result in results.values() if isinstance(result, Measurement)]
    reference, int8 = _measured(results, "fp32"), _measured(results, "int8")
    before, after = reference.scores.per_class, int8.scores.per_class
    order = sorted(range(len(before)), key=lambda i: _change(after[i].ap, before[i].ap) or 0.0)
    largest = max((abs(_change(after[i].ap, before[i].ap) or 0.0) for i in order), default=0.0)
    rows: list[list[str | Cell]] = []
    for i in order:
        classes: list[ClassPrecision] = [m.scores.per_class[i] for m in measured]
        change = _change(after[i].ap, before[i].ap)
        drawn = bar(-(change or 0.0), largest)
        cell = difference(after[i].ap, before[i].ap)
        shown = Cell(join((cell.content, " ", drawn)), cell.kind)
        fifty = difference(after[i].ap50, before[i].ap50)
        aps = (points(entry.ap) for entry in classes)
        rows.append([before[i].name, str(before[i].objects), *aps, shown, fifty])
    names = (f"AP {m.subject.title}" for m in measured)
    head = ("class", "objects", *names, "AP: INT8 less FP32", "AP50: INT8 less FP32")
    listed = table("Average precision by class, in points; the largest loss first", head, rows)
    return listed if len(rows) <= CLASSES_SHOWN else folded(f"All {len(rows)} classes", listed)


def points(value: float) -> str:
    """Return a figure of [0, 1] in points; COCO's -1 as words."""
    return ABSENT if value < 0 else f"{100 * value:.2f}"


def difference(value: float, before: float) -> Cell:
    """Return a signed difference in points, marked by an arrow and by colour."""
    change = _change(value, before)
    return Cell(ABSENT) if change is None else signed(100 * change)


def signed(change: float) -> Cell:
    """Return a signed number for a cell; less is worse."""
    text = f"{change:+.2f}".replace("-", "\N{MINUS SIGN}")
    if float(f"{change:.2f}") == 0:
        return Cell("\N{PLUS-MINUS SIGN}0.00", "number same")
    arrow, kind = ("\u25b2", "better") if change > 0 else ("\u25bc", "worse")
    return Cell(f"{arrow}\N{NO-BREAK SPACE}{text}", f"number {kind}")


def megabytes(size_bytes: int) -> str:
    """Return a file's size for people."""
    return f"{size_bytes / 1e6:.2f}\N{NO-BREAK SPACE}MB"


def _card(result: Result, reference: Measurement) -> Html:
    subject = result.subject
    lines = [tag("h3", subject.title)]
    if isinstance(result, Measurement):
        ap = result.scores.precision.ap
        lines.append(tag("p", tag("span", points(ap), class_="big"), " AP", class_="figure"))
        if result is not reference:
            cell = difference(ap, reference.scores.precision.ap)
            lines.append(tag("p", tag("span", cell.content, class_=cell.kind), " points"))
    else:
        lines.append(paragraph("not measured here", kind="figure"))
    size = megabytes(subject.size_bytes)
    if result is not reference:
        size += f", {_percent(subject, reference.subject)} of FP32"
    return tag("div", *lines, paragraph(size), class_="card")


def _percent(subject: Subject, reference: Subject) -> str:
    return f"{100 * subject.size_bytes / reference.size_bytes:.0f}\N{NO-BREAK SPACE}%"


def _cost(results: Mapping[str, Result], error: float | None) -> str:
    before = _measured(results, "fp32").scores.precision
    after = _measured(results, "int8").scores.precision
    change = 100 * (after.ap - before.ap)
    verb = "costs" if change < 0 else "gains"
    cost = f"INT8 {verb} {abs(change):.2f} AP points on {after.images} images"
    if error is None:
        return f"{cost}, which are too few to tell whether that is chance."
    told = "more than chance explains" if abs(change) > 200 * error else "chance may explain it"
    return (
        f"{cost}; the standard error of this difference is {100 * error:.2f} points (from leaving "
        f"out a tenth of the images at a time): {told}."
    )


def _changes(comparison: Comparison) -> str:
    return (
        f"Of {comparison.float_found} objects that FP32 finds, INT8 loses "
        f"{comparison.count('lost')}; it finds {comparison.count('gained')} others, and shows "
        f"{comparison.count('false_new')} new wrong detections."
    )


def _share_sentence(share: Int8Share | None) -> str:
    if share is None:
        return "How much of the engine runs in INT8, its build step says below."
    work = (
        "the share of multiply-adds is not known without the portable FP32 file (--onnx)"
        if share.percent is None
        else f"they do {share.percent:.1f} % of the multiply-adds"
    )
    return f"{share.int8} of {share.convolutions} convolutions compute in INT8; {work}."


def _gate_sentence(subject: Subject) -> Html:
    gate = subject.step("gate")
    if gate is None:
        command = tag("code", "make engine PRECISION=int8 MAX_AP_DROP=0.5")
        return join(("No accuracy gate blessed this file. To set a limit: ", command, "."))
    return markup(f"The accuracy gate blessed this file: {gate.note}.")


def _how_many(images: ImageSet) -> str:
    looked_at, there_are = len(images.examples), len(images.coco.examples)
    return f"all {there_are}" if looked_at == there_are else f"{looked_at} of {there_are}"


def _how(result: Result) -> Html:
    if isinstance(result, Measurement):
        return join((tag("code", result.subject.path.name), f"; {result.how}."))
    return join(("not measured: ", markup(result.reason), "."))


def _measured(results: Mapping[str, Result], precision: str) -> Measurement:
    result = results[precision]
    assert isinstance(result, Measurement)  # the report does not get here without these two
    return result


def _change(value: float, before: float) -> float | None:
    """Return a difference; None where a set has no such object."""
    return None if min(value, before) < 0 else value - before
