"""Messages that wait for an MQTT broker: in memory, and on disk when it takes longer."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from runtime.mqtt_queue_file import DamagedQueueError, Message, QueueFile, set_aside

RETRY_S = 10.0  # after the disk refused to take messages
MESSAGE_OVERHEAD_BYTES = 300  # of Python's objects, so that memory is bounded in truth


class MessageQueue:
    """Messages in the order of ``put``, until they are done.

    New ones are in memory; ``flush`` moves those that are still there to disk, where they survive
    the end of the program. A broker that answers quickly therefore costs no write to a flash disk,
    and a crash loses at most what came since the last ``flush``. When memory or disk is full the
    oldest are dropped. ``put`` may be called from any thread and waits for neither disk nor
    network; the rest from one thread.

    Args:
        folder: Where messages are kept; None for memory only.
        limit_bytes: What they may take on disk, and as much again in memory.
        report: Takes a line for the user.

    Attributes:
        dropped: Messages lost because the queue was full or its file damaged.
    """

    def __init__(
        self, folder: Path | None, limit_bytes: int, report: Callable[[str], None]
    ) -> None:
        self.dropped = 0
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._report = report
        self._lock = threading.Lock()
        self._memory: dict[int, Message] = {}
        self._memory_bytes = 0
        self._done_through = 0
        self._retry_at_s = 0.0
        self._is_refused = False  # the disk takes nothing at the moment
        self._is_loss_told = False
        self._is_closed = False
        self._file = self._open_file()
        self._next_number = 1 + (self._file.newest if self._file else 0)

    @property
    def waiting(self) -> int:
        """Messages that are not done."""
        return len(self._memory) + (self._file.count if self._file else 0)

    @property
    def is_pressing(self) -> bool:
        """Whether memory fills so quickly that ``flush`` should not wait."""
        return self._memory_bytes > self._limit_bytes // 2

    @property
    def is_kept(self) -> bool:
        """Whether messages survive the end of the program."""
        return self._file is not None and not self._is_refused

    def put(self, topic: str, payload: bytes) -> None:
        """Add a message."""
        with self._lock:
            message = Message(self._next_number, topic, payload)
            self._next_number += 1
            self._memory[message.number] = message
            self._memory_bytes += _size(message)
            while self._memory_bytes > self._limit_bytes:
                self._forget(next(iter(self._memory)))
                self.dropped += 1

    def after(self, number: int, most: int) -> list[Message]:
        """Return up to ``most`` messages in order, beginning with the first after ``number``."""
        file = self._file
        if file is not None and file.newest > number:
            try:
                found = file.after(number, most)
            except DamagedQueueError as damage:
                self._replace_file(file, damage)
            except sqlite3.Error as error:
                self._give_up_file(file, error)
            else:
                if found:
                    return found
        with self._lock:
            newer = (message for message in self._memory.values() if message.number > number)
            return list(itertools.islice(newer, most))

    def mark_done(self, through: int) -> None:
        """Drop the messages up to a number: the broker has them."""
        with self._lock:
            self._done_through = max(self._done_through, through)
            for number in list(itertools.takewhile(lambda n: n <= through, self._memory)):
                self._forget(number)

    def count_dropped(self, messages: int) -> None:
        """Count messages as lost."""
        with self._lock:
            self.dropped += messages

    def flush(self) -> None:
        """Bring the file up to date: what is done leaves it, what is in memory moves there."""
        if self.dropped and not self._is_loss_told:
            self._is_loss_told = True
            self._report("--mqtt: the queue lost its oldest results; they are counted at the end")
        file = self._file
        if file is None or time.monotonic() < self._retry_at_s:
            return
        with self._lock:
            new = list(self._memory.values())
        if not new and file.count == 0:
            return
        try:
            self.count_dropped(file.update(self._done_through, new))
        except DamagedQueueError as damage:
            self._replace_file(file, damage)
        except sqlite3.Error as error:
            self._retry_at_s = time.monotonic() + RETRY_S
            self._tell_refusal(error)
        else:
            self._forget_all(new)

    def close(self) -> None:
        """Keep what is left, where it can be kept; may be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        self._retry_at_s = 0.0
        self.flush()
        if self._file is not None:
            self._file.close()

    def _forget_all(self, kept: list[Message]) -> None:
        """The disk took these messages."""
        with self._lock:
            for message in kept:
                if message.number in self._memory:  # else dropped meanwhile
                    self._forget(message.number)
        if self._is_refused:
            self._is_refused = False
            self._report(f"--mqtt-queue {self._folder} takes results again")

    def _forget(self, number: int) -> None:
        self._memory_bytes -= _size(self._memory.pop(number))

    def _open_file(self, damage: DamagedQueueError | None = None) -> QueueFile | None:
        """Open the file, or a new one where it is known or found to be damaged."""
        if self._folder is None:
            return None
        try:
            if damage is None:
                try:
                    return QueueFile(self._folder, self._limit_bytes)
                except DamagedQueueError as found:
                    damage = found
            self._tell_damage(damage, set_aside(self._folder))
            return QueueFile(self._folder, self._limit_bytes)
        except (OSError, sqlite3.Error, DamagedQueueError) as error:
            self._report(
                f"--mqtt-queue {self._folder} cannot be used ({_reason(error)}); expected a folder "
                "of its own that can be written; results wait in memory only"
            )
            return None

    def _replace_file(self, file: QueueFile, damage: DamagedQueueError) -> None:
        """Go on with a new file; what was in the old one is lost."""
        self.count_dropped(file.count)
        file.close()
        self._file = self._open_file(damage)

    def _give_up_file(self, file: QueueFile, error: sqlite3.Error) -> None:
        file.close()
        self._file = None
        self._report(
            f"--mqtt-queue {self._folder} cannot be read any more ({error}); results wait in "
            "memory only, those in the file until the next start"
        )

    def _tell_damage(self, damage: DamagedQueueError, aside: Path) -> None:
        self._report(
            f"--mqtt-queue {self._folder} is damaged ({_reason(damage)}); it is set aside as "
            f"{aside} and a new one begun"
        )

    def _tell_refusal(self, error: sqlite3.Error) -> None:
        if not self._is_refused:
            self._is_refused = True
            self._report(
                f"--mqtt-queue {self._folder} takes no results ({error}); expected a disk with "
                "room that can be written; they wait in memory, and it is tried again"
            )


def _size(message: Message) -> int:
    return len(message.topic) + len(message.payload) + MESSAGE_OVERHEAD_BYTES


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return " ".join((text or type(error).__name__).split())
