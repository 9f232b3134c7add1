"""Bounded queues, one per camera, that the network empties fairly and in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from runtime.frame_buffer import DropPolicy

T = TypeVar("T")
# Enough that no stage waits for another's usual jitter; more would only make a live frame older.
CAPACITY = {DropPolicy.BLOCK: 4, DropPolicy.LATEST: 1}


class CameraQueues(Generic[T]):
    """Hands pictures from many cameras, a thread each, to one consumer; items are never copied.

    A camera ends its queue with ``close``: what lies in it is still delivered. The consumer ends
    all with ``cancel``: what lies in them is dropped, and the cameras learn it from ``put``.

    Args:
        policies: What a full queue does, by camera.

    Attributes:
        dropped: Items lost so far because a queue was full, by camera.
    """

    def __init__(self, policies: Sequence[DropPolicy]) -> None:
        self.dropped = [0] * len(policies)
        self._policies = tuple(policies)
        self._queues: list[deque[T]] = [deque() for _ in policies]
        self._open = set(range(len(policies)))
        self._changed = threading.Condition()
        self._cancelled = False
        self._first = 0  # whose turn it is

    def put(self, camera: int, item: T) -> bool:
        """Add an item, waiting for room under ``BLOCK``.

        Returns:
            Whether the consumer still listens; False means stop producing.
        """
        queue, policy = self._queues[camera], self._policies[camera]
        with self._changed:
            while len(queue) >= CAPACITY[policy] and not self._cancelled:
                if policy is DropPolicy.LATEST:
                    queue.popleft()
                    self.dropped[camera] += 1
                else:
                    self._changed.wait()
            if self._cancelled:
                return False
            queue.append(item)
            self._changed.notify_all()
            return True

    def take(self, most: int = 1, patience_s: float = 0.0) -> list[tuple[int, T]]:
        """Take the next items, waiting for one.

        Cameras take turns: one that has always a picture ready gets no more than its share while
        others have, too.

        Args:
            most: Items at most.
            patience_s: How long to wait for more once there is one.

        Returns:
            Pairs of camera and item, in each camera's order; empty when all cameras have ended and
            nothing is left, or after ``cancel``.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting() or not self._open or self._cancelled)
            if patience_s > 0:
                self._wait_for_more(most, time.monotonic() + patience_s)
            taken: list[tuple[int, T]] = []
            while len(taken) < most and self._waiting():
                camera = self._next_camera()
                taken.append((camera, self._queues[camera].popleft()))
            self._changed.notify_all()
            return taken

    def close(self, camera: int) -> None:
        """Say that a camera will put nothing more."""
        with self._changed:
            self._open.discard(camera)
            self._changed.notify_all()

    def cancel(self) -> None:
        """Say that nothing more will be taken; drops what lies in the queues."""
        with self._changed:
            self._cancelled = True
            for queue in self._queues:
                queue.clear()
            self._changed.notify_all()

    def _waiting(self) -> int:
        return sum(map(len, self._queues))

    def _wait_for_more(self, most: int, deadline: float) -> None:
        """Wait until a batch is full, or no more can come, or the time is over."""

        def is_enough() -> bool:
            silent = any(not self._queues[camera] for camera in self._open)
            return self._waiting() >= most or not silent or self._cancelled

        self._changed.wait_for(is_enough, max(0.0, deadline - time.monotonic()))

    def _next_camera(self) -> int:
        """Return the camera with something to give whose turn comes next."""
        count = len(self._queues)
        order = ((self._first + offset) % count for offset in range(count))
        camera = next(camera for camera in order if self._queues[camera])
        self._first = (camera + 1) % count
        return camera
