"""A Jetson as its running ``tegrastats`` tells it: for where the kernel's files are not seen."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from runtime.device_samples import DeviceSample
from runtime.errors import BackendError
from runtime.nvpmodel import power_mode_name
from runtime.power_rails import find_total, total_name
from runtime.tegrastats import LONGEST_LINE, parse_line

PROGRAM = "tegrastats"
INTERVAL_MS = 200
FIRST_LINE_TIMEOUT_S = 5.0
# A line that is older than this is no reading of now: the program hangs.
OLDEST_LINE_S = 2.0


class TegrastatsMonitor:
    """Starts the program and keeps its latest line; see ``DeviceMonitor``.

    Args:
        command: The program; it prints a line at every interval.
        root: Of the file system, for the power mode.
        first_line_s: How long the program has to say something.

    Raises:
        BackendError: If it cannot be started or says nothing.
    """

    name = "Jetson (tegrastats)"

    def __init__(
        self,
        command: Sequence[str] = (PROGRAM, "--interval", str(INTERVAL_MS)),
        root: Path = Path("/"),
        first_line_s: float = FIRST_LINE_TIMEOUT_S,
    ) -> None:
        self._latest: tuple[str, int] | None = None
        self._has_line = threading.Event()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise BackendError(
                f"{command[0]} cannot be run ({error.strerror}); expected NVIDIA's program of a "
                "Jetson; run it on the device itself"
            ) from None
        self._reader = threading.Thread(target=self._read_lines, daemon=True, name="tegrastats")
        self._reader.start()
        self._has_line.wait(first_line_s)
        if self._latest is None:
            self.close()
            raise BackendError(
                f"{command[0]} printed nothing in {first_line_s:g} s; expected a line; run it in a "
                "terminal to see why"
            )
        first = parse_line(*self._latest)
        self.power_mode = power_mode_name(root)
        self.total_rail = total_name(find_total(first.power_mw))
        self.missing = _gaps(first, self.total_rail)

    def sample(self) -> DeviceSample:
        """Return what the latest line says, with the time at which it came."""
        line, at_ns = self._latest or ("", time.perf_counter_ns())
        now_ns = time.perf_counter_ns()
        if now_ns - at_ns > OLDEST_LINE_S * 1e9:
            return DeviceSample(now_ns)
        return parse_line(line, at_ns)

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read_lines(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with stream:
            while data := stream.readline(LONGEST_LINE):
                line = data.decode(errors="replace").strip()
                if line:
                    self._latest = (line, time.perf_counter_ns())
                    self._has_line.set()
        self._has_line.set()  # it ended: waiting longer brings nothing


def _gaps(first: DeviceSample, total_rail: str | None) -> tuple[str, ...]:
    gaps = ["throttling: tegrastats does not tell it"]
    if total_rail is None:
        has = f"has {', '.join(first.power_mw)}" if first.power_mw else "has no power"
        remedy = "; run as root to have it" if not first.power_mw else ""
        gaps.append(f"energy per frame: the line of tegrastats {has}, no known total{remedy}")
    if "emc" not in first.clocks_mhz:
        gaps.append("memory clock and load: not in the line of tegrastats; run as root to have it")
    if not first.temperatures_c:
        gaps.append("temperatures: not in the line of tegrastats")
    return tuple(gaps)
