"""Results for programs that go on with the ``supervision`` library, and the way back."""

from __future__ import annotations

import numpy as np

from runtime.detections import Detections
from runtime.errors import UsageError
from runtime.frames import FrameResult

try:
    import supervision as sv
except ModuleNotFoundError as missing:
    raise UsageError(
        f"found no module {missing.name}; expected it for supervision's detections; install it: "
        "pip install -e '.[track]'"
    ) from missing


def supervision_from_result(result: FrameResult) -> sv.Detections:
    """Return a result's boxes for supervision's annotators, zones and metrics.

    Args:
        result: Of one picture; not shared with what is returned.

    Returns:
        ``xyxy`` float32 (N, 4) in pixels, ``confidence`` float32 (N,), ``class_id`` int64 (N,),
        ``data["class_name"]`` str (N,), and with tracking ``tracker_id`` int64 (N,), -1 for none
        yet; without tracking it is None. In the order of ``result.detections``.
    """
    found = result.detections
    class_ids = found.class_ids.astype(np.int64)
    names = np.array([result.class_names[class_id] for class_id in class_ids], np.str_)
    return sv.Detections(
        xyxy=found.boxes_xyxy.copy(),
        confidence=found.scores.copy(),
        class_id=class_ids,
        tracker_id=None if result.tracks is None else result.tracks.ids.copy(),
        data={"class_name": names},
    )


def detections_from_supervision(detections: sv.Detections) -> Detections:
    """Return supervision's boxes as ours, in the same order; masks and track ids are left out.

    Args:
        detections: Boxes in pixels; one without confidences counts as sure, one without classes
            as of class 0.
    """
    count = len(detections)
    scores, class_ids = detections.confidence, detections.class_id
    return Detections(
        boxes_xyxy=np.array(detections.xyxy, np.float32).reshape(count, 4),
        scores=np.ones(count, np.float32) if scores is None else scores.astype(np.float32),
        class_ids=np.zeros(count, np.int32) if class_ids is None else class_ids.astype(np.int32),
    )
