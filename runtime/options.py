"""The command line of ``stream.py``, checked before anything is opened."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.backends import BACKEND_NAMES
from runtime.command_line import CommandParser, positive, thread_count
from runtime.errors import UsageError

RECORD_EVERY = 30  # one a second of most cameras: neighbours in time teach nothing new
RECORD_MOST = 512  # more than calibration needs
BUILD_FOLDER = Path("build")  # where `make engine` leaves its artifacts


@dataclass(frozen=True)
class StreamOptions:
    """What to stream from where to where; see ``build_parser`` for each option.

    Raises:
        UsageError: On creation, if values contradict each other.
    """

    camera: str | None
    video: Path | None
    images: str | None
    artifact: Path | None
    backend: str
    threads: int
    score: float
    max_frames: int | None
    save: Path | None
    jsonl: Path | None
    contact_sheet: Path | None
    summary_json: Path | None
    record: Path | None
    record_every: int
    record_most: int
    show: bool

    def __post_init__(self) -> None:
        """Check what argparse cannot."""
        taken: dict[Path, str] = {}
        for name, path in (("--video", self.video), ("--artifact", self.artifact)):
            if path is not None:
                taken[path.resolve()] = name
        for name, path in self.outputs.items():
            if path.is_dir():
                raise UsageError(f"{name} got {path}, a folder; expected a file name")
            other = taken.setdefault(path.resolve(), name)
            if other != name:
                raise UsageError(f"{name} and {other} both name {path}; choose two files")
        if self.record is not None:
            self._check_record(self.record)
        for name, path, suffix in (
            ("--save", self.save, ".mp4"),
            ("--contact-sheet", self.contact_sheet, ".png"),
        ):
            if path is not None and path.suffix.lower() != suffix:
                raise UsageError(f"{name} got {path}; expected a name that ends in {suffix}")

    def _check_record(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--record got {folder}, a file; expected a folder")
        if self.images is not None and folder.resolve() == Path(self.images).resolve():
            raise UsageError(f"--record and --images both name {folder}; choose two folders")

    @property
    def outputs(self) -> dict[str, Path]:
        """The files that were asked for, by option."""
        paths = {
            "--save": self.save,
            "--jsonl": self.jsonl,
            "--contact-sheet": self.contact_sheet,
            "--summary-json": self.summary_json,
        }
        return {name: path for name, path in paths.items() if path is not None}


def build_parser() -> CommandParser:
    """Return the parser of ``stream.py``."""
    parser = CommandParser(
        prog="stream.py",
        description="Find objects in a camera's, video's or folder's pictures, live.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--camera", metavar="INDEX", type=_camera, help="0, 1 or /dev/video0")
    source.add_argument("--video", metavar="FILE", type=Path)
    source.add_argument("--images", metavar="DIR", help="a folder, or a pattern such as 'a/*.png'")
    parser.add_argument(
        "--artifact",
        metavar="PATH",
        type=Path,
        help=f"model to run; default: the newest in {BUILD_FOLDER}/ that can run here",
    )
    parser.add_argument("--backend", choices=BACKEND_NAMES, default="auto")
    parser.add_argument(
        "--threads",
        type=thread_count,
        default=0,
        metavar="N",
        help="CPU threads; default: all cores",
    )
    parser.add_argument(
        "--score", type=_score, default=0.3, metavar="X", help="lowest score, 0 to 1; default 0.3"
    )
    parser.add_argument("--max-frames", type=positive, metavar="N", help="stop after N pictures")
    parser.add_argument("--save", metavar="OUT.mp4", type=Path, help="annotated video")
    parser.add_argument("--jsonl", metavar="OUT.jsonl", type=Path, help="one line per picture")
    parser.add_argument(
        "--contact-sheet", metavar="OUT.png", type=Path, help="evenly spaced pictures in a grid"
    )
    parser.add_argument(
        "--summary-json", metavar="OUT.json", type=Path, help="the final figures, for programs"
    )
    _add_recording_options(parser)
    parser.add_argument("--show", action="store_true", help="open a window; q or Escape quits")
    return parser


def _add_recording_options(parser: CommandParser) -> None:
    parser.add_argument(
        "--record", metavar="DIR", type=Path, help="keep pictures without boxes, to calibrate on"
    )
    parser.add_argument(
        "--record-every",
        metavar="N",
        type=positive,
        default=RECORD_EVERY,
        help=f"keep one of N pictures; default {RECORD_EVERY}",
    )
    parser.add_argument(
        "--record-most",
        metavar="N",
        type=positive,
        default=RECORD_MOST,
        help=f"keep at most N pictures; default {RECORD_MOST}",
    )


def parse_options(arguments: Sequence[str] | None = None) -> StreamOptions:
    """Parse and check a command line; None means the process's own.

    Raises:
        UsageError: If it makes no sense.
    """
    return StreamOptions(**vars(build_parser().parse_args(arguments)))


def _camera(text: str) -> str:
    if not text.isdecimal() and not text.startswith("/dev/"):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected an index or a /dev path")
    return text


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0.0 <= score <= 1.0:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number from 0 to 1")
    return score
