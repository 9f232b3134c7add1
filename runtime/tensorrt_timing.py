"""Where the GPU's time goes within one frame, by events in its stream."""

from __future__ import annotations

from runtime.cuda_memory import Stream, TimingEvent

# Between the marks: the upload arrives, the picture is brought to the network's input, the network
# runs, its outputs come back.
INTERVALS = ("arrival", "placement", "network", "copy out")


class FrameTimer:
    """Five marks in a stream, used anew for every frame.

    An interval runs from when the GPU reached one mark until it reached the next, so it holds the
    GPU's waiting for the host to give it the next piece of work, too.
    """

    def __init__(self) -> None:
        self._marks = [TimingEvent() for _ in range(len(INTERVALS) + 1)]

    def mark(self, number: int, stream: Stream) -> None:
        """Put mark ``number``, from 0, behind what the stream has been given so far."""
        self._marks[number].record(stream)

    def milliseconds(self) -> dict[str, float]:
        """Return the GPU's time in each of ``INTERVALS``; all marks must have been reached."""
        marks = self._marks
        return {
            name: marks[index + 1].milliseconds_since(marks[index])
            for index, name in enumerate(INTERVALS)
        }

    def close(self) -> None:
        """Destroy the events."""
        for mark in self._marks:
            mark.close()
