"""The report's sections on the model itself: sensitivity, ranges, latency, and where it came from.

What was not given leaves a sentence that says how to get it, never an empty chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.report_accuracy import megabytes
from calibration.report_charts import range_histogram
from calibration.report_extras import Latency, Loss, Sensitivity
from calibration.report_ranges import RangeView
from calibration.report_subjects import Subject
from runtime.html_charts import bar
from runtime.html_parts import Cell, Html, folded, join, paragraph, section, table, tag

BLOCKS_SHOWN = 12
RANGES_SHOWN = 12
DIGEST_DIGITS = 16


@dataclass(frozen=True)
class Ranges:
    """What is known of the calibration.

    Attributes:
        note: From the INT8 file's provenance.
        views: The tensors, the noisiest first; empty if no file of ranges was given.
        absence: Why there are none, as a sentence.
        images: Calibration images; 0 if not known.
        evaluated_too: Those of them that are among the evaluated ones.
    """

    note: str
    views: Sequence[RangeView] = ()
    absence: str = ""
    images: int = 0
    evaluated_too: int = 0


def sensitivity(found: Sensitivity | None) -> Html:
    """Return which blocks and nodes cost most, the most sensitive first."""
    if found is None:
        text = "Not measured. make sensitivity ranks the layers; give its JSON with --sensitivity."
        return section("sensitivity", "Sensitivity", paragraph(text))
    intro = (
        f"Measured on {found.images} images, in {found.unit}: what is lost when only this "
        "part is in INT8, and what is gained when only this part returns to float."
    )
    blocks, nodes = found.blocks, found.nodes
    parts = [_loss_table("The most sensitive blocks", "block", blocks[:BLOCKS_SHOWN])]
    if rest := blocks[BLOCKS_SHOWN:]:
        parts.append(folded(f"{len(rest)} more blocks", _loss_table("Others", "block", rest)))
    parts.append(folded(f"All {len(nodes)} nodes", _loss_table("Nodes", "node", nodes)))
    return section("sensitivity", "Sensitivity", paragraph(intro), *parts)


def ranges(found: Ranges) -> Html:
    """Return a small histogram of every observed tensor with its clipping threshold."""
    content = [paragraph("Calibration: ", found.note or "not noted", ".")]
    if found.images:
        content.append(_overlap(found))
    if not found.views:
        return section("ranges", "Ranges", *content, paragraph(found.absence))
    legend = (
        "Each picture counts the magnitudes of one tensor, on a logarithmic scale. The line is the "
        "clipping threshold: INT8's largest value; what lies in the shaded part is clipped. SQNR "
        "is the power of the observed values over that of their rounding and clipping error; the "
        "tensors with the lowest come first."
    )
    content.append(paragraph(legend))
    content.append(_range_pictures(found.views[:RANGES_SHOWN]))
    if rest := found.views[RANGES_SHOWN:]:
        content.append(folded(f"{len(rest)} more tensors", _range_pictures(rest)))
    return section("ranges", "Ranges", *content)


def latency(found: Sequence[Latency]) -> Html:
    """Return the latencies that were given."""
    if not found:
        text = "Not measured. Give the JSON of a benchmark or an evaluation with --latency."
        return section("latency", "Latency", paragraph(text))
    rows = [
        (
            entry.label,
            f"{entry.median_ms:.2f}",
            " to ".join(f"{quartile:.2f}" for quartile in entry.quartiles_ms or ()),
            _text("yes" if entry.is_subject else "no, another"),
            _text(entry.where),
        )
        for entry in found
    ]
    head = (
        "what",
        "ms",
        "quartiles",
        _text("a file of this report"),
        _text("where"),
    )
    return section("latency", "Latency", table("Latency of one image", head, rows))


def provenance(subjects: Sequence[Subject]) -> Html:
    """Return the files, and the steps that each came from."""
    files = [
        (
            subject.title,
            _text(tag("code", subject.path.name)),
            _text(subject.contract.target),
            megabytes(subject.size_bytes),
            _text(_digest(subject.contract.artifact_sha256)),
        )
        for subject in subjects
    ]
    head = ("model", _text("file"), _text("target"), "size", _text("SHA-256"))
    chains = (_chain(subject) for subject in subjects)
    return section("provenance", "Files and provenance", table("Files", head, files), *chains)


def _loss_table(caption: str, kind: str, losses: Sequence[Loss]) -> Html:
    most_lost = max((abs(loss.only_int8) for loss in losses), default=0.0)
    most_gained = max((abs(loss.only_float) for loss in losses), default=0.0)
    rows: list[list[str | Cell]] = [
        [
            loss.name,
            Cell(_number_and_bar(loss.only_int8, loss.only_int8, most_lost), "number"),
            Cell(_number_and_bar(loss.only_float, -loss.only_float, most_gained), "number"),
        ]
        for loss in losses
    ]
    return table(caption, (kind, "lost, only it in INT8", "gained, only it in float"), rows)


def _number_and_bar(value: float, harm: float, largest: float) -> Html:
    text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
    return join((text, " ", bar(harm, largest)))


def _overlap(found: Ranges) -> Html:
    if not found.evaluated_too:
        return paragraph(
            f"None of the {found.images} calibration images is among those evaluated here."
        )
    text = (
        f"{found.evaluated_too} of the {found.images} calibration images are among those evaluated "
        "here: INT8's figures may look better than they are. Evaluate on other images."
    )
    return paragraph(tag("strong", text), kind="warning")


def _range_pictures(views: Sequence[RangeView]) -> Html:
    return tag("div", *map(_range_picture, views), class_="ranges")


def _range_picture(view: RangeView) -> Html:
    facts = (
        f"clip at {view.threshold:.4g}, largest {view.peak:.4g}",
        f"{_share(view.clipped)} clipped, SQNR {view.sqnr_db:.1f}\N{NO-BREAK SPACE}dB",
    )
    caption = tag("figcaption", tag("code", view.tensor), *(tag("span", fact) for fact in facts))
    return tag("figure", range_histogram(view), caption)


def _share(share: float) -> str:
    """Return a share in percent; what is not nothing does not read as nothing."""
    return "nothing" if share == 0 else f"{100 * share:.2g}\N{NO-BREAK SPACE}%"


def _chain(subject: Subject) -> Html:
    rows = [
        (
            f"{number}. {step.step}",
            _text(_digest(step.sha256)),
            _text(step.tool),
            _text(step.note),
        )
        for number, step in enumerate(subject.contract.provenance, 1)
    ]
    if not rows:
        return paragraph(f"{subject.title}: its contract names no step.")
    head = ("step", _text("SHA-256 of its input"), _text("tool"), _text("note"))
    return folded(
        f"{subject.title}: how it was made", table(f"Steps to {subject.path.name}", head, rows)
    )


def _digest(digest: str) -> Html:
    return tag("code", digest[:DIGEST_DIGITS], title=digest)


def _text(content: str) -> Cell:
    """Return a cell that reads from the left."""
    return Cell(content, "text")
