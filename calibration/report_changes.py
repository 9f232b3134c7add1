"""The report's sections on detections: what was lost and gained, where, and how scores moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.report_charts import score_scatter
from calibration.report_comparison import PAIRED_SCORE, SHOWN_SCORE, Comparison, ImageChange
from calibration.report_matching import MATCH_IOU
from calibration.report_pictures import Case
from runtime.html_parts import Html, join, paragraph, picture, section, table, tag

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def changed_detections(
    comparison: Comparison, cases: Sequence[Case], class_names: Sequence[str]
) -> Html:
    """Return the counts, and the pictures of the images that lost most."""
    definition = (
        f"A detection counts from score {SHOWN_SCORE:g} on. It finds an annotated object of its "
        f"class from an intersection over union of {MATCH_IOU:g} on, the best score first, each "
        "object once. An image's damage is the number of objects lost and of wrong detections "
        "added; among equals, the scores that its objects lost decide."
    )
    return section(
        "detections",
        "Detections lost and gained",
        paragraph(definition),
        _counts(comparison),
        tag("h3", "The most damaged images"),
        _pictures(comparison, cases, class_names),
    )


def score_agreement(pairs: np.ndarray) -> Html:
    """Return a scatter plot of scores and what it amounts to.

    Args:
        pairs: (n, 2), scores of one detection in FP32 and in INT8.
    """
    if not len(pairs):
        return section(
            "scores",
            "Scores",
            paragraph(f"No detection from score {PAIRED_SCORE:g} on is common to FP32 and INT8."),
        )
    change = pairs[:, 1].astype(np.float64) - pairs[:, 0]
    description = (
        f"INT8's score over FP32's for {len(pairs)} pairs of detections; the mean difference is "
        f"{change.mean():+.4f}"
    )
    rows = [
        ("pairs", str(len(pairs))),
        ("mean", _signed(change.mean())),
        *(
            (f"{100 * share:g} % lie below", _signed(value))
            for share, value in zip(QUANTILES, np.quantile(change, QUANTILES), strict=True)
        ),
        ("largest magnitude", f"{np.abs(change).max():.4f}"),
    ]
    text = (
        "Each point is one detection that both models have: the same class, and an intersection "
        f"over union of {MATCH_IOU:g} or more. Pairs of which neither score reaches "
        f"{PAIRED_SCORE:g} are left out. On the line the scores are equal."
    )
    figures = tag(
        "div",
        score_scatter(pairs, description),
        table("INT8's score less FP32's", ("statistic", "value"), rows),
        class_="beside",
    )
    return section("scores", "Scores", paragraph(text), figures)


def describe_change(change: ImageChange, class_names: Sequence[str]) -> list[str]:
    """Return what happened on one image, a clause for each object or detection."""
    names = [class_names[class_id] for class_id in change.example.class_ids.tolist()]
    clauses = []
    for verb, places in (("lost", change.lost), ("gained", change.gained)):
        for place in places:
            before, after = (
                _score(scores[place]) for scores in (change.float_scores, change.int8_scores)
            )
            clauses.append(f"{verb} {names[place]} (FP32 {before}, INT8 {after})")
    for verb, places, shown in (
        ("new wrong", change.false_new, change.int8_shown),
        ("no longer wrong", change.false_gone, change.float_shown),
    ):
        for row in places:
            name = class_names[int(shown.class_ids[row])]
            clauses.append(f"{verb} {name} ({shown.scores[row]:.2f})")
    return clauses


def _counts(comparison: Comparison) -> Html:
    lost, gained = comparison.count("lost"), comparison.count("gained")
    rows = [
        ("annotated objects", str(comparison.objects)),
        ("found by FP32", str(comparison.float_found)),
        ("found by INT8", str(comparison.float_found - lost + gained)),
        ("lost by INT8: found by FP32 only", str(lost)),
        ("gained by INT8: found by INT8 only", str(gained)),
        ("wrong detections of INT8 that FP32 does not show", str(comparison.count("false_new"))),
        ("wrong detections of FP32 that INT8 does not show", str(comparison.count("false_gone"))),
    ]
    return table(f"Detections on {len(comparison.images)} images", ("what", "number"), rows)


def _pictures(comparison: Comparison, cases: Sequence[Case], class_names: Sequence[str]) -> Html:
    damaged = len(comparison.worst())
    if not damaged:
        return paragraph("On no image was an object lost or a wrong detection added.")
    if not cases:
        return paragraph(f"{damaged} images are damaged; none was to be shown.")
    legend = (
        f"{len(cases)} of {damaged} damaged images, the most damaged first. Left the annotated "
        "objects, in the middle FP32, on the right INT8. A double red frame marks, from left to "
        "right: objects that INT8 lost, wrong detections that only FP32 shows, and those that "
        "only INT8 shows."
    )
    shown = (_figure(case, class_names) for case in cases)
    return join((paragraph(legend), tag("div", *shown, class_="cases")))


def _figure(case: Case, class_names: Sequence[str]) -> Html:
    name = case.change.example.path.name
    pictures = (
        (case.truth_jpeg, "truth", f"{name}: annotated objects"),
        (case.float_jpeg, "FP32", f"{name}: detections of FP32"),
        (case.int8_jpeg, "INT8", f"{name}: detections of INT8"),
    )
    tiles = (
        tag("div", picture(jpeg, alternative), tag("span", title))
        for jpeg, title, alternative in pictures
    )
    clauses = "; ".join(describe_change(case.change, class_names))
    caption = tag("figcaption", tag("strong", name), f": {clauses}")
    return tag("figure", tag("div", *tiles, class_="tiles"), caption)


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")


def _score(score: float) -> str:
    return f"{score:.2f}" if score > 0 else "none"
