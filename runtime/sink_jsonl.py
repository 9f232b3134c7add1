"""Detections as JSON lines, one object per picture."""

from __future__ import annotations

import json
from pathlib import Path

from runtime.frames import FrameResult
from runtime.line_files import Rotation, open_line_file
from runtime.records import record_from


class JsonlSink:
    """Writes one JSON object per picture; ``record_from`` lists the keys.

    Args:
        path: The file.
        rotation: None for a file that appears when it is complete; see ``open_line_file``.

    Raises:
        OutputError: If it cannot be written.
    """

    name = "jsonl"
    needs_picture = False
    in_main_thread = False

    def __init__(self, path: Path, rotation: Rotation | None = None) -> None:
        self._file = open_line_file(self.name, path, rotation)

    def publish(self, result: FrameResult) -> None:
        """Write one line."""
        self._file.write(json.dumps(record_from(result)) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def discard(self) -> None:
        """Drop a file that is not complete; one that grows keeps its lines."""
        self._file.discard()
