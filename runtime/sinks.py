"""What everything has in common that results go to."""

from __future__ import annotations

from typing import Protocol

from runtime.frames import FrameResult


class Sink(Protocol):
    """Takes results one by one, each camera's in the order of capture.

    A stream gives every sink a queue and a thread of its own (``sink_worker.py``), so that a slow
    or broken one delays nobody: ``publish`` is called from that thread only, ``close`` or
    ``discard`` once it has ended; of one that hangs at the end, ``discard`` alone, beside it.

    Attributes:
        name: The option that asks for it, without dashes, such as "jsonl"; for messages.
        needs_picture: Whether it looks at pictures. One that does not gets results without, and a
            longer queue.
        in_main_thread: Whether it must run in the main thread, as windows do.
    """

    name: str
    needs_picture: bool
    in_main_thread: bool

    def publish(self, result: FrameResult) -> None:
        """Take one result. The picture is shared: look, or copy, but do not write.

        Raises:
            OSError: If it cannot go where it should.
            OutputError: The same, with a message of our own.
        """
        ...

    def close(self) -> None:
        """Finish: a file appears under its name now. Raises as ``publish`` does."""
        ...

    def discard(self) -> None:
        """Give up: no file stays behind. Does nothing after ``close``."""
        ...
