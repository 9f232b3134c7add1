"""Hands items from one thread to the next, with a bound and a rule for when it is full."""

from __future__ import annotations

import enum
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class DropPolicy(enum.Enum):
    """What a full buffer does with one more item."""

    LATEST = "latest"  # drop the oldest: for a camera, where only the present matters
    BLOCK = "block"  # make the producer wait: for a file, where every picture counts


class FrameBuffer(Generic[T]):
    """A bounded queue between one producer and one consumer; items are passed on, never copied.

    The producer ends it with ``close``: what lies in it is still delivered. The consumer ends it
    with ``cancel``: what lies in it is dropped, and the producer learns it from ``put``.

    Args:
        capacity: Most items held, at least 1.
        policy: What happens when it is full.

    Attributes:
        dropped: Items lost so far because the buffer was full.
    """

    def __init__(self, capacity: int, policy: DropPolicy) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; expected at least 1")
        self.dropped = 0
        self._capacity = capacity
        self._policy = policy
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False

    def put(self, item: T) -> bool:
        """Add an item, waiting for room under ``BLOCK``.

        Returns:
            Whether the consumer still listens; False means stop producing.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not self._cancelled:
                if self._policy is DropPolicy.LATEST:
                    self._items.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._cancelled:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> T | None:
        """Take the oldest item, waiting for one.

        Args:
            timeout_s: Longest wait; None for no limit.

        Returns:
            The item; None when the buffer is closed and empty, or cancelled.

        Raises:
            TimeoutError: If nothing came in time.
        """
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._items or self._closed or self._cancelled, timeout_s
            )
            if not arrived:
                raise TimeoutError(f"nothing came within {timeout_s} s")
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Say that nothing more will be put."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Say that nothing more will be taken; drops what lies in the buffer."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()
