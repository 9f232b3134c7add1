"""What came out of one camera so far, recorded by one thread and read by others."""

from __future__ import annotations

import time

from runtime.frames import FrameResult
from runtime.source_reader import SourceReader
from runtime.stream_status import CameraStatus, RateMeter


class CameraProgress:
    """Counts one camera's results.

    Args:
        reader: Of the camera.
    """

    def __init__(self, reader: SourceReader) -> None:
        self._reader = reader
        self._rate = RateMeter()
        self._results = self._detections = 0
        self._newest: FrameResult | None = None
        self._newest_ns: int | None = None

    def record(self, result: FrameResult) -> None:
        """Count one more result."""
        self._results += 1
        self._detections += len(result.detections)
        self._newest = result.without_picture()
        self._newest_ns = time.monotonic_ns()
        self._rate.tick()

    def status(self, name: str, dropped: int) -> CameraStatus:
        """Return the camera's state now.

        Args:
            name: Of the camera.
            dropped: Pictures that were lost between it and the network.
        """
        newest, reader = self._newest, self._reader
        tracks = None if newest is None else newest.tracks
        return CameraStatus(
            name=name,
            state=reader.state,
            problem=reader.problem,
            captured=reader.captured,
            dropped=dropped,
            skipped=reader.skipped,
            results=self._results,
            detections=self._detections,
            reconnects=reader.reconnects,
            frames_per_second=self._rate.per_second(),
            age_ms=None if newest is None else newest.times_ms["age"],
            last_result_ns=self._newest_ns,
            line_counts={} if tracks is None else tracks.line_counts or {},
            zone_counts={} if tracks is None else tracks.zone_counts or {},
        )
