r"""An RTSP server that is killed and started again, many times: how soon results come again.

python -m benchmarks.streaming_restarts --times 50

It needs a machine with the Python bindings of GStreamer's RTSP server (Debian: python3-gi,
gir1.2-gst-rtsp-server-1.0).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.common import Goal, Sense
from benchmarks.report import RESULTS, Findings, run_benchmark
from benchmarks.rtsp_server import SERVED, SERVER, RtspServerProcess
from benchmarks.streaming_probes import ProbeSink
from benchmarks.streaming_setup import open_synthetic
from runtime.command_line import CommandParser, positive
from runtime.errors import SourceError
from runtime.flow import CameraInput, FlowOptions
from runtime.frames import FrameResult
from runtime.open_sources import open_sources
from runtime.option_types import number_from
from runtime.options import parse_options
from runtime.pipeline import Pipeline
from runtime.source_state import BackoffOptions
from runtime.sources import Source, SourceSpec

NAME = "streaming_restarts"
DOWN_S = (0.0, 1.0, 3.0)  # in turn: back at once, and after some attempts in vain
BEYOND_GOAL_S = 2.0  # from the server's answer to a result, beyond the back-off that was due
GIVE_UP_S = 90.0  # for one recovery: three times the longest back-off


class ResultClock(ProbeSink):
    """Lets others wait for a result of a picture that is new enough; counts wrong order.

    Attributes:
        reordered: Results whose number is not above that of the one before.
    """

    needs_picture = False

    def __init__(self) -> None:
        self.reordered = 0
        self._newest = (-1, 0, 0.0)  # number, capture, and when its result came
        self._changed = threading.Condition()

    def publish(self, result: FrameResult) -> None:
        """Note a result."""
        with self._changed:
            self.reordered += result.frame.sequence <= self._newest[0]
            frame = result.frame
            self._newest = (frame.sequence, frame.captured_ns, time.monotonic())
            self._changed.notify_all()

    def wait_for(self, captured_after: float, timeout_s: float) -> float | None:
        """Return when the first result of a later picture came; None if none does in time."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._newest[1] > captured_after * 1e9, timeout_s)
            return self._newest[2] if came else None


class CountedOpenings:
    """Opens a source and notes when that was tried.

    Attributes:
        tried_at: Monotonic seconds of every attempt.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self.tried_at: list[float] = []
        self._spec = spec

    def open(self) -> Source:
        """Open the source, as ``SourceSpec.open``."""
        self.tried_at.append(time.monotonic())
        return self._spec.open()


@dataclass(frozen=True)
class Recovery:
    """One restart, in seconds.

    Attributes:
        down_s: From the kill until the server answered again.
        attempts: Attempts to connect, from the kill to the one that succeeded.
        backoff_s: Longest wait that was due before that one.
        live_after_s: From the server's answer to the first result of a new picture.
    """

    down_s: float
    attempts: int
    backoff_s: float
    live_after_s: float

    @property
    def beyond_s(self) -> float:
        """What it took beyond the back-off."""
        return self.live_after_s - self.backoff_s


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(
        prog=f"python -m benchmarks.{NAME}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, metavar="F.json", help=f"default: {RESULTS.name}/{NAME}-<date>")
    add("--times", type=positive, default=50, metavar="N")
    add(
        "--live-s",
        type=number_from(0.0),
        default=6.0,
        metavar="N",
        help="stay live for so long between two; below 5 s the back-off grows on and on",
    )
    add("--rtsp-server", default=SERVER, metavar="COMMAND", help="takes JSON, prints its port")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    clock = ResultClock()
    with RtspServerProcess(options.rtsp_server) as server:
        address = f"gate=rtsp://127.0.0.1:{server.port}/video"
        (spec,) = open_sources(parse_options(["--camera", address]).sources)
        openings = CountedOpenings(spec)
        camera = CameraInput(replace(spec, open=openings.open))
        with _streaming(camera, clock) as pipeline:
            _wait_for_result(clock, time.monotonic())
            recoveries = []
            for _, down_s in zip(range(options.times), itertools.cycle(DOWN_S), strict=False):
                time.sleep(options.live_s)
                recoveries.append(_restart(server, down_s, openings, clock))
        reconnects = pipeline.status().cameras[0].reconnects
    settings = {"times": options.times, "live_s": options.live_s, "server": SERVED}
    return judge(recoveries, clock.reordered, reconnects, settings)


@contextlib.contextmanager
def _streaming(camera: CameraInput, clock: ResultClock) -> Iterator[Pipeline]:
    """Stream in a thread of its own."""
    pipeline = Pipeline([camera], open_synthetic(5.0), [clock], FlowOptions())
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    try:
        yield pipeline
    finally:
        pipeline.request_stop()
        thread.join()


def _restart(
    server: RtspServerProcess, down_s: float, openings: CountedOpenings, clock: ResultClock
) -> Recovery:
    """Kill the server, start it again after a while, and wait until results come."""
    before, killed_at = len(openings.tried_at), time.monotonic()
    server.kill()
    time.sleep(down_s)
    server.start()
    answered_at = time.monotonic()
    live_at = _wait_for_result(clock, answered_at)
    attempts = len(openings.tried_at) - before
    down = answered_at - killed_at
    return Recovery(down, attempts, longest_backoff_s(attempts), live_at - answered_at)


def _wait_for_result(clock: ResultClock, captured_after: float) -> float:
    live_at = clock.wait_for(captured_after, GIVE_UP_S)
    if live_at is None:
        raise SourceError(f"the camera did not come back within {GIVE_UP_S:g} s; expected results")
    return live_at


def longest_backoff_s(attempts: int) -> float:
    """Return the longest wait before the n-th attempt in a row; 0 if there was none."""
    options = BackoffOptions()
    if attempts == 0:
        return 0.0
    return min(options.first_s * options.factor ** (attempts - 1), options.longest_s)


def judge(
    recoveries: Sequence[Recovery], reordered: int, reconnects: int, settings: dict[str, Any]
) -> Findings:
    """Set every recovery against the goal."""
    samples = {
        "from the server's answer to a result": [own.live_after_s * 1e3 for own in recoveries],
        "of this, beyond the longest back-off due": [own.beyond_s * 1e3 for own in recoveries],
    }
    longest = max(own.beyond_s for own in recoveries)
    goals = (
        Goal("longest recovery beyond its back-off, s", longest, Sense.AT_MOST, BEYOND_GOAL_S),
        Goal("recoveries", float(reconnects), Sense.AT_LEAST, float(len(recoveries))),
        Goal("results reordered or repeated", float(reordered), Sense.AT_MOST, 0.0),
    )
    rounded = [{k: round(v, 3) for k, v in asdict(own).items()} for own in recoveries]
    return Findings(settings, samples, {}, goals, {"recoveries": rounded})


if __name__ == "__main__":
    sys.exit(main())
