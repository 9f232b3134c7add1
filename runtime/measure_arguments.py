"""The command line of ``measure.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from runtime.backends import BACKEND_NAMES
from runtime.command_line import CommandParser, count, positive, thread_count
from runtime.option_types import add_group, number_from
from runtime.regression_budget import parse_budget
from runtime.terminal_lines import WIDTH

DEFAULT_WARMUP = 20
DEFAULT_COUNT = 500
DEFAULT_SECONDS = 30.0
DEFAULT_ROUNDS = 10  # an interval takes seven
DEFAULT_LIVE_S = 10.0
DEFAULT_BATCHES = [1, 2, 4, 8]
LONGEST_S = 7 * 24 * 3600.0
MOST_BATCH = 256  # more than any detector is served with; 200 MB of pictures at 511x511
EXAMPLES = """\
trtexec says 4 ms, my program takes 12 - why?
  measure.py MODEL --frames clip.mp4        the first table: from the network alone to a live result
which layer should I change?
  measure.py MODEL --layers                 and what it could gain: python -m export.roofline --help
INT8 or FP16, large or small?
  measure.py A B C --html report.html       in turns, with intervals and a verdict
is today's build slower than the last one?
  measure.py MODEL --baseline before.json --fail-if 'p99>+5%'
how warm, how many watts, after an hour?
  measure.py MODEL --soak 60 --html report.html

status: 0 done, 1 a budget is not kept, 2 bad input (one line says what), 130 Ctrl-C
"""


def build_parser() -> CommandParser:
    """Return the parser of ``measure.py``."""
    parser = CommandParser(
        prog="measure.py",
        description="Say where every millisecond goes between a camera's picture and its boxes.",
        epilog=EXAMPLES,
        formatter_class=_help_formatter,
        allow_abbrev=False,
    )
    _add_model(parser)
    _add_frames(parser)
    _add_parts(parser)
    _add_results(parser)
    return parser


def _add_model(parser: CommandParser) -> None:
    add = add_group(parser, "model").add_argument
    add(
        "artifact",
        metavar="ARTIFACT",
        type=Path,
        nargs="+",
        help="models; several take turns, and are compared with the first",
    )
    add(
        "--backend",
        choices=BACKEND_NAMES,
        default="auto",
        help="what runs them; default auto: what suits each artifact",
    )
    add(
        "--threads",
        type=thread_count,
        default=0,
        metavar="N",
        help="CPU threads of the network; default: all cores",
    )
    add(
        "--score",
        type=number_from(0.0, 1.0),
        default=0.3,
        metavar="X",
        help="lowest score that is kept, 0 to 1; default 0.3",
    )


def _add_frames(parser: CommandParser) -> None:
    add = add_group(parser, "frames").add_argument
    add(
        "--frames",
        metavar="CLIP",
        help="a video, a folder of images or test://; default: the demo's clip, else test://",
    )
    add("--once", action="store_true", help="show each picture once; default: from the start again")
    add(
        "--warmup",
        type=count,
        default=DEFAULT_WARMUP,
        metavar="N",
        help=f"frames that are shown apart, before the others; default {DEFAULT_WARMUP}",
    )
    add(
        "--count",
        type=positive,
        default=DEFAULT_COUNT,
        metavar="N",
        help=f"frames of each artifact that count, at most, or what it shows in a second per round "
        f"where the device tells its power; default {DEFAULT_COUNT}",
    )
    add(
        "--seconds",
        type=number_from(0.001, LONGEST_S),
        default=DEFAULT_SECONDS,
        metavar="S",
        help=f"time for them, of each artifact; default {DEFAULT_SECONDS:g}",
    )
    add(
        "--rounds",
        type=positive,
        default=DEFAULT_ROUNDS,
        metavar="N",
        help=f"turns that artifacts take; default {DEFAULT_ROUNDS}",
    )


def _add_parts(parser: CommandParser) -> None:
    add = add_group(parser, "parts").add_argument
    add(
        "--batches",
        type=_batch,
        nargs="+",
        default=DEFAULT_BATCHES,
        metavar="N",
        help="frames per run, for throughput; 0 for none; default 1 2 4 8",
    )
    add(
        "--live-seconds",
        type=number_from(0.0, LONGEST_S),
        default=DEFAULT_LIVE_S,
        metavar="S",
        help="length of the live run, where pictures come at a camera's pace; 0 for none; "
        f"default {DEFAULT_LIVE_S:g}",
    )
    add(
        "--camera-rate",
        type=number_from(0.1, 1000.0),
        metavar="N",
        help="pictures per second of the camera in the live run; default: the clip's",
    )
    add(
        "--no-cold-start",
        dest="cold_start",
        action="store_false",
        help="do not time new processes from their start to the first boxes",
    )
    add("--layers", action="store_true", help="time every layer of the network, too")
    add(
        "--soak",
        type=number_from(0.001, LONGEST_S / 60),
        metavar="MINUTES",
        help="a long run at the end, in minutes, for heat and drift",
    )
    add(
        "--device-root",
        type=_folder,
        default=Path("/"),
        metavar="DIR",
        help="where the files of the device's sensors are; default /",
    )
    add("--power-modes", action="store_true", help="repeat it in each power mode of a Jetson; asks")
    add("--yes", action="store_true", help="do not ask before --power-modes")
    add("--nvtx", action="store_true", help="name the stages in Nsight Systems' timeline")


def _add_results(parser: CommandParser) -> None:
    add = add_group(parser, "results").add_argument
    add("--json", type=Path, metavar="F", help="write all figures")
    add("--html", type=Path, metavar="F", help="write a page with charts and tables")
    add("--trace", type=Path, metavar="F", help="write a timeline for chrome://tracing or Perfetto")
    add("--baseline", type=Path, metavar="F", help="compare with the --json of an earlier run")
    add(
        "--fail-if",
        action="append",
        type=parse_budget,
        default=[],
        metavar="BUDGET",
        help="status 1 if a budget is not kept: FIGURE>LIMIT or FIGURE<LIMIT, such as 'p99>+5%%', "
        "'network.p50>20ms', 'fps<30', 'memory>+10%%'; repeat for several",
    )


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    """Return a formatter that keeps the lines of the examples, as wide as a terminal's report."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=24, width=WIDTH)


def _batch(text: str) -> int:
    """Return frames per run; a ``type`` for the parser."""
    if not text.isdecimal() or int(text) > MOST_BATCH:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected a whole number from 0 to {MOST_BATCH}"
        )
    return int(text)


def _folder(text: str) -> Path:
    """Return a folder's path; a ``type`` for the parser."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a folder")
    return Path(text)
