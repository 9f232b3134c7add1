"""An explanation as JSON, for programs."""

from __future__ import annotations

from typing import Any

from detectors.explain_corners import Corner
from detectors.explain_image import Explanation, ShownBox
from detectors.explain_wording import KIND_NAMES, Finding, describe_failures

DIGITS = 5


def record_of(explanation: Explanation) -> dict[str, Any]:
    """Return everything but the maps, ready for ``json.dumps``.

    Corners have ids, "tl0" for the strongest top-left corner; places are image pixels.
    """
    pairing = explanation.pairing
    corners = (*pairing.top_left, *pairing.bottom_right)
    return {
        "score_threshold": explanation.score_threshold,
        "embedding_limit": explanation.embedding_limit,
        "class_names": list(explanation.class_names),
        "corners": [_corner_record(explanation, corner) for corner in corners],
        "boxes": [
            _box_record(explanation, number, box) for number, box in enumerate(explanation.shown, 1)
        ],
        "pools": [
            {
                "direction": view.direction,
                "kind": KIND_NAMES[view.kind],
                "channel": view.channel,
                "channels": view.channels,
                "largest": round(float(view.after.max()), DIGITS),
            }
            for view in explanation.pools
        ],
        "annotated": explanation.truth is not None,
        "failures": [_failure_record(finding) for finding in describe_failures(explanation)],
    }


def corner_id(corner: Corner | None) -> str | None:
    """Return the id of a corner, None for none."""
    return None if corner is None else f"{corner.kind}{corner.rank}"


def _corner_record(explanation: Explanation, corner: Corner) -> dict[str, Any]:
    point = explanation.placement.to_image((*corner.xy, *corner.xy))[:2]
    return {
        "id": corner_id(corner),
        "kind": KIND_NAMES[corner.kind],
        "class": explanation.class_names[corner.class_id],
        "score": round(corner.score, DIGITS),
        "point_px": [round(float(value), 2) for value in point],
        "cell": list(corner.cell_xy),
        "embedding": round(corner.embedding, DIGITS),
    }


def _box_record(explanation: Explanation, number: int, box: ShownBox) -> dict[str, Any]:
    return {
        "number": number,
        "class": explanation.class_names[box.class_id],
        "score": round(box.score, DIGITS),
        "pair_score": round(box.pair.score, DIGITS),
        "box_xyxy_px": [round(value, 2) for value in box.box_xyxy],
        "top_left": corner_id(box.pair.top_left),
        "bottom_right": corner_id(box.pair.bottom_right),
        "distance": round(box.pair.distance, DIGITS),
    }


def _failure_record(finding: Finding) -> dict[str, Any]:
    distance = finding.distance
    return {
        "kind": finding.kind,
        "mark": finding.mark,
        "what": finding.title,
        "reason": finding.reason,
        "corners": [corner_id(corner) for corner in finding.corners],
        "distance": None if distance is None else round(distance, DIGITS),
        "failed": [gate.value for gate in finding.failed],
    }
