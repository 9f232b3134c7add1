"""The JSON file holds what the picture shows."""

from __future__ import annotations

import json

from detectors.explain_record import record_of
from tests.detectors.explanations import an_explanation


def test_boxes_name_their_corners() -> None:
    record = json.loads(json.dumps(record_of(an_explanation()), allow_nan=False))
    corners = {corner["id"]: corner for corner in record["corners"]}
    assert len(corners) == len(record["corners"]) == 16
    box = record["boxes"][0]
    assert (box["number"], box["class"], box["distance"]) == (1, "dog", 0.1)
    first, second = corners[box["top_left"]], corners[box["bottom_right"]]
    assert [*first["point_px"], *second["point_px"]] == box["box_xyxy_px"] == [16, 20, 48, 56]
    assert (first["kind"], first["cell"], first["score"]) == ("top-left", [4, 5], 0.9)
    assert abs(first["embedding"] - second["embedding"]) == 0.1


def test_failures_name_corners_tests_and_reasons() -> None:
    record = record_of(an_explanation())
    alone = next(f for f in record["failures"] if f["kind"] == "unpaired")
    assert alone["corners"][0] == "tl1"
    assert "embedding" in alone["failed"]
    assert "embeddings" in alone["reason"]
    missed = next(f for f in record["failures"] if f["kind"] == "missed")
    assert (missed["corners"], missed["distance"], missed["mark"]) == ([None, None], None, "B")
    assert record["annotated"] is True


def test_pools_and_limits() -> None:
    record = record_of(an_explanation(truth=None))
    assert [pool["direction"] for pool in record["pools"]] == ["top", "left", "bottom", "right"]
    assert (record["score_threshold"], record["embedding_limit"]) == (0.3, 0.5)
    assert record["annotated"] is False
