"""Detections as a table, one row per box, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runtime.frames import FrameResult
from runtime.line_files import Rotation, open_line_file
from runtime.records import record_from

# The same with and without tracking, so that a later stream can add to the file.
COLUMNS = (
    *("time", "camera", "frame", "source", "captured_ns", "image_height", "image_width"),
    *("class_name", "class_id", "score", "x1", "y1", "x2", "y2", "track_id"),
)


class CsvSink:
    """Writes one row per box, as RFC 4180 has it; pictures without boxes add none.

    Args:
        path: The file.
        rotation: None for a file that appears when it is complete; see ``open_line_file``.

    Raises:
        OutputError: If it cannot be written, or the file to be added to is another one.
    """

    name = "csv"
    needs_picture = False
    in_main_thread = False

    def __init__(self, path: Path, rotation: Rotation | None = None) -> None:
        self._file = open_line_file(self.name, path, rotation, _csv_text([COLUMNS]))

    def publish(self, result: FrameResult) -> None:
        """Write the rows of one picture, which may be none."""
        record = record_from(result)
        height, width = record["image_hw"]
        picture = {**record, "image_height": height, "image_width": width}
        rows = []
        for found in record["detections"]:
            corners = dict(zip(("x1", "y1", "x2", "y2"), found["box_xyxy"], strict=True))
            row = {**picture, **found, **corners}
            rows.append([row.get(column) for column in COLUMNS])
        self._file.write(_csv_text(rows))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def discard(self) -> None:
        """Drop a file that is not complete; one that grows keeps its rows."""
        self._file.discard()


def _csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as text with line ends; None is an empty field."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
