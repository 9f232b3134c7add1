"""What is looked at while a stream runs: order, content and age of results, memory and CPU time."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.frames import FrameResult
from runtime.pattern_picture import read_frame_number

PROCESS_STATUS = Path("/proc/self/status")
MEMORY_EVERY_S = 1.0
PATIENCE_S = 30.0
POLL_S = 0.01
# Edges of the kept histogram: every value falls into a bin, the last one is open.
AGE_BINS_MS = (0, 1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 100, 150, 200, 500, 1000, 5000)


class ProbeSink:
    """A sink that only looks at what it gets."""

    name = "probe"
    needs_picture = True
    in_main_thread = False

    def publish(self, result: FrameResult) -> None:
        """Look at one result."""
        raise NotImplementedError

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def discard(self) -> None:
        """Do nothing: nothing is held."""


class DrawProbe(ProbeSink):
    """Asks for drawn pictures, as a video or a page does, and drops them.

    Args:
        every: Of so many results, one is drawn.
    """

    name = "draw"

    def __init__(self, every: int = 1) -> None:
        self._results = 0
        self._every = every

    def publish(self, result: FrameResult) -> None:
        """Draw, if it is time."""
        self._results += 1
        if self._results % self._every == 0:
            assert result.annotated is not result.frame.image


class OrderProbe(ProbeSink):
    """Counts, by camera, what is missing, comes late or twice, or carries a wrong picture.

    Args:
        sample_every: Of so many results, one picture is read; each must be of the test pattern.

    Attributes:
        received: Results by camera.
        missing: Numbers that were skipped and never came, by camera; see ``finish``.
        reordered: Results whose number is not above that of the one before.
        wrong_pictures: Read pictures that carry another number than their result.
        read_pictures: Pictures that were read.
    """

    def __init__(self, sample_every: int = 10) -> None:
        self.received: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.reordered = self.wrong_pictures = self.read_pictures = 0
        self._next: dict[str, int] = {}
        self._sample_every = sample_every

    def publish(self, result: FrameResult) -> None:
        """Compare a result's number with the one that is due."""
        camera, number = result.camera, result.frame.sequence
        due = self._next.get(camera, 0)
        if number < due:
            self.reordered += 1
        else:
            self.missing[camera] += number - due
            self._next[camera] = number + 1
        if self.received[camera] % self._sample_every == 0:
            self.read_pictures += 1
            self.wrong_pictures += read_frame_number(result.frame.image) != number
        self.received[camera] += 1

    def finish(self, delivered: dict[str, int]) -> None:
        """Count what cameras delivered after the last result; call it once, at the end."""
        for camera, count in delivered.items():
            self.missing[camera] += max(0, count - self._next.get(camera, 0))


class AgeProbe(ProbeSink):
    """Keeps the age of every result, in milliseconds; nothing is left out.

    Args:
        warmup_s: Results of the first so many seconds do not count.

    Attributes:
        ages_ms: By camera, in order.
        network_ms: How long the network took, over all cameras, in order.
    """

    needs_picture = False

    def __init__(self, warmup_s: float = 0.0) -> None:
        self.ages_ms: dict[str, list[float]] = {}
        self.network_ms: list[float] = []
        self._counts_from = time.monotonic() + warmup_s

    def publish(self, result: FrameResult) -> None:
        """Note one result's age."""
        if time.monotonic() >= self._counts_from:
            self.ages_ms.setdefault(result.camera, []).append(result.times_ms["age"])
            self.network_ms.append(result.times_ms["network"])


class PaceProbe(ProbeSink):
    """Keeps when each result came; read it from any thread.

    Attributes:
        times_s: ``time.perf_counter`` at each result.
    """

    needs_picture = False

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def publish(self, result: FrameResult) -> None:
        """Note that a result came."""
        self.times_s.append(time.perf_counter())

    def measure(self, seconds: float) -> float:
        """Watch for so long, until two results have come at least; returns milliseconds per result.

        It counts from one result to another, so that no part of an interval is lost at either end.

        Raises:
            TimeoutError: If results do not come.
        """
        first = len(self.times_s)
        time.sleep(seconds)
        deadline = time.monotonic() + PATIENCE_S
        while len(self.times_s) < first + 2:
            if time.monotonic() > deadline:
                raise TimeoutError(f"fewer than two results came in {PATIENCE_S:g} s")
            time.sleep(POLL_S)
        seen = self.times_s[first:]
        return (seen[-1] - seen[0]) * 1e3 / (len(seen) - 1)


def age_figures(ages_ms: list[float]) -> dict[str, Any]:
    """Return percentiles, the largest value and a histogram, ready for JSON.

    Args:
        ages_ms: At least one.
    """
    values = np.array(ages_ms)
    p50, p95, p99 = (round(float(v), 2) for v in np.percentile(values, (50, 95, 99)))
    counts, _ = np.histogram(values, bins=(*AGE_BINS_MS, np.inf))
    names = [f"from {edge} ms" for edge in AGE_BINS_MS]
    histogram = {name: int(count) for name, count in zip(names, counts, strict=True) if count}
    return {
        "count": len(values),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": round(float(values.max()), 2),
        "histogram": histogram,
    }


@dataclass(frozen=True)
class Memory:
    """Memory of this process at one moment, in KiB.

    Attributes:
        resident: All that lies in memory, shared libraries included.
        anonymous: Of this, what the process itself asked for; files do not count.
    """

    resident: int
    anonymous: int


def read_memory(status: Path = PROCESS_STATUS) -> Memory:
    """Return the memory of this process; Linux only."""
    text = status.read_text(encoding="ascii", errors="replace")
    found = dict(re.findall(r"^(VmRSS|RssAnon):\s*(\d+) kB", text, re.MULTILINE))
    return Memory(int(found["VmRSS"]), int(found["RssAnon"]))


class MemoryLog:
    """Samples memory about once per second; call ``tick`` often.

    Its own memory is taken before the first sample: it must not grow while it looks for growth.

    Args:
        longest_s: Samples after so many seconds are left out.
    """

    def __init__(self, longest_s: float) -> None:
        self._rows = np.ones((int(longest_s / MEMORY_EVERY_S) + 2, 3))
        self._count = 0
        self._started = time.monotonic()
        self._next = 0.0

    @property
    def samples(self) -> list[tuple[float, Memory]]:
        """Seconds since the first, and memory."""
        rows = self._rows[: self._count].tolist()
        return [(at, Memory(int(resident), int(own))) for at, resident, own in rows]

    def tick(self) -> None:
        """Take a sample if one is due."""
        elapsed = time.monotonic() - self._started
        if elapsed >= self._next and self._count < len(self._rows):
            memory = read_memory()
            self._rows[self._count] = elapsed, memory.resident, memory.anonymous
            self._count += 1
            self._next = elapsed + MEMORY_EVERY_S


class ProcessTime:
    """CPU time of this process, with all threads, from now on."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def cores_used(self) -> float:
        """Return how many cores the process kept busy on average."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        return cpu / wall if wall > 0 else 0.0
