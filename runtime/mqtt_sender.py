"""Carries messages from the queue to the broker, and forgets them once it has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from runtime.mqtt_queue import MessageQueue

# Messages on their way at once: enough for hundreds per second over a slow mobile network, and
# below what brokers accept.
WINDOW = 64
FLUSH_S = 1.0  # results of the latest second are lost in a crash


class Connection(Protocol):
    """What a sender needs of ``runtime.mqtt_connection.MqttConnection``; see there."""

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent now."""
        ...

    @property
    def has_problem(self) -> bool:
        """Whether the broker could not be reached since messages could last be sent."""
        ...

    def start(self) -> None:
        """Begin to connect."""
        ...

    def send(self, topic: str, payload: bytes) -> int | None:
        """Hand a message to the network."""
        ...

    def take_acknowledged(self) -> list[int]:
        """Return the ids that the broker acknowledged since the last call."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


class MqttSender:
    """A thread that sends a queue's messages in order, at least once each.

    A message leaves the queue when the broker acknowledged it and all before it. One that was
    acknowledged just when the program ended is sent again: receivers may see it twice.

    Args:
        queue: Belongs to this sender from ``start`` on, but for ``put``.
        connect: Makes the connection; its argument is what the connection calls to wake the
            sender.

    Attributes:
        failure: What ended the thread too early, a mistake of ours; None while it works.
    """

    def __init__(
        self, queue: MessageQueue, connect: Callable[[Callable[[], None]], Connection]
    ) -> None:
        self.failure: Exception | None = None
        self._queue = queue
        self._something_happened = threading.Event()
        self._connection = connect(self.wake)
        self._in_flight: dict[int, int] = {}  # number in the queue by id, in order
        self._last_sent = 0
        self._flush_at_s = 0.0
        self._end_at_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt sender", daemon=True)

    def start(self) -> None:
        """Begin to connect and to send."""
        self._connection.start()
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be something to do; never waits."""
        self._something_happened.set()

    def close(self, within_s: float) -> None:
        """Send what is left while the broker takes it, for so long at most; keep the rest."""
        self._end_at_s = time.monotonic() + within_s
        self.wake()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_at_end():
                self._something_happened.wait(FLUSH_S)
                self._something_happened.clear()
                self._step()
        except Exception as error:
            self.failure = error
        finally:
            self._connection.close()
            self._take_acknowledged()
            self._queue.close()

    def _step(self) -> None:
        self._take_acknowledged()
        room = WINDOW - len(self._in_flight)
        if room > 0 and self._connection.is_open:
            self._send(room)
        if self._queue.is_pressing or time.monotonic() >= self._flush_at_s:
            self._flush_at_s = time.monotonic() + FLUSH_S
            self._queue.flush()

    def _send(self, room: int) -> None:
        for message in self._queue.after(self._last_sent, room):
            try:
                mid = self._connection.send(message.topic, message.payload)
            except ValueError:  # no topic: a damage to the file that SQLite did not notice
                self._queue.count_dropped(1)
            else:
                if mid is None:
                    return
                self._in_flight[mid] = message.number
            self._last_sent = message.number

    def _take_acknowledged(self) -> None:
        for mid in self._connection.take_acknowledged():
            self._in_flight.pop(mid, None)
        oldest = next(iter(self._in_flight.values()), self._last_sent + 1)
        self._queue.mark_done(oldest - 1)

    def _is_at_end(self) -> bool:
        if self._end_at_s is None:
            return False
        if time.monotonic() >= self._end_at_s or self._connection.has_problem:
            return True
        return not self._in_flight and not self._queue.after(self._last_sent, 1)
