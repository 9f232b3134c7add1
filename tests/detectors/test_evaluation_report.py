"""Tables and JSON of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

from detectors.average_precision import AveragePrecision, AverageRecall, ClassPrecision, Scores
from detectors.dataset import read_coco
from detectors.evaluation_report import Evaluation, Timing, record, table
from runtime.atomic_file import sha256_of

SCORES = Scores(
    AveragePrecision(0.5, 0.75, 0.625, -1.0, 0.4, 1.0, 12),
    AverageRecall(0.1, 0.2, 0.3, -1.0, 0.5, 0.6),
    (ClassPrecision("cup", 0.5, 0.75, 3), ClassPrecision("ballpoint pen", -1.0, -1.0, 0)),
)
TIMED = Evaluation("nano", SCORES, Timing(3.0, 1.0, 20.0, 4.0))


def test_the_table_has_every_figure_and_a_dash_where_nothing_was() -> None:
    assert table(TIMED, per_class=False).splitlines() == [
        "nano, 12 images",
        "      AP    AP50    AP75    AP-S    AP-M    AP-L",
        "   0.500   0.750   0.625       -   0.400   1.000",
        "     AR1    AR10   AR100    AR-S    AR-M    AR-L",
        "   0.100   0.200   0.300       -   0.500   0.600",
        "3.0 s; ms per image: read 1.0, network 20.0, resizing and suppression 4.0",
    ]


def test_classes_are_aligned() -> None:
    assert table(TIMED, per_class=True).splitlines()[-3:] == [
        "class              AP    AP50  objects",
        "cup             0.500   0.750        3",
        "ballpoint pen       -       -        0",
    ]


def test_detections_from_a_file_took_no_time() -> None:
    assert "ms per image" not in table(Evaluation("rows.json", SCORES, Timing()), False)


def test_the_record_is_flat_and_names_its_data(shapes: Path) -> None:
    body = json.loads(json.dumps(record(TIMED, read_coco(shapes), {"flip": True})))
    assert (body["format"], body["model"]) == ("cornerrt-evaluation-1", "nano")
    assert (body["ap"], body["ap_small"], body["ar_100"], body["images"]) == (0.5, -1.0, 0.3, 12)
    assert (body["seconds"], body["network_ms"]) == (3.0, 20.0)
    assert body["options"] == {"flip": True}
    assert body["per_class"][0] == {"name": "cup", "ap": 0.5, "ap50": 0.75, "objects": 3}
    assert body["data"]["sha256"] == sha256_of(shapes / "annotations.json")
    assert (body["data"]["images"], body["data"]["classes"]) == (6, 6)
