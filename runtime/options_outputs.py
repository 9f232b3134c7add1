"""Which files to write results to, and whether to show them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.command_line import positive
from runtime.errors import UsageError
from runtime.line_files import Rotation
from runtime.option_types import add_group
from runtime.option_values import duration_in_s, size_in_bytes

# A camera's stream has no end, its disk has: at 1 kB a picture and 30 a second the files together
# hold ten hours.
ROTATE_SIZE = "100MB"
ROTATE_KEEP = 10


@dataclass(frozen=True)
class OutputOptions:
    """What to write and show.

    Attributes:
        save: Annotated video; with several cameras, one for each, named after it.
        jsonl: One line per picture.
        csv: One row per box.
        contact_sheet: Evenly spaced pictures in a grid.
        summary_json: The final figures.
        show: Whether to open windows.
        rotate_size: Lines and rows of cameras begin a new file at this size in bytes; 0 for never.
        rotate_age: And after so many seconds; 0 for never.
        rotate_keep: Files that were set aside and are kept.

    Raises:
        UsageError: On creation, if values contradict each other.
    """

    save: Path | None
    jsonl: Path | None
    csv: Path | None
    contact_sheet: Path | None
    summary_json: Path | None
    show: bool
    rotate_size: int
    rotate_age: float
    rotate_keep: int

    def __post_init__(self) -> None:
        """Check what argparse cannot."""
        self.check_apart_from([])
        for name, path, suffix in (
            ("--save", self.save, ".mp4"),
            ("--contact-sheet", self.contact_sheet, ".png"),
        ):
            if path is not None and path.suffix.lower() != suffix:
                raise UsageError(f"{name} got {path}; expected a name that ends in {suffix}")

    @property
    def files(self) -> dict[str, Path]:
        """The files that were asked for, by option."""
        paths = {
            "--save": self.save,
            "--jsonl": self.jsonl,
            "--csv": self.csv,
            "--contact-sheet": self.contact_sheet,
            "--summary-json": self.summary_json,
        }
        return {name: path for name, path in paths.items() if path is not None}

    @property
    def rotation(self) -> Rotation:
        """When a camera's lines and rows begin a new file."""
        return Rotation(self.rotate_size or None, self.rotate_age or None, self.rotate_keep)

    def check_apart_from(self, inputs: Iterable[tuple[str, Path]]) -> None:
        """Refuse an output that is an input, a folder or another output.

        Args:
            inputs: Files that are read, each with the option that names it.

        Raises:
            UsageError: If there is one.
        """
        taken = {path.resolve(): name for name, path in inputs}
        for name, path in self.files.items():
            if path.is_dir():
                raise UsageError(f"{name} got {path}, a folder; expected a file name")
            other = taken.setdefault(path.resolve(), name)
            if other != name:
                raise UsageError(f"{name} and {other} both name {path}; choose two files")


def check_folder(option: str, folder: Path, others: Iterable[tuple[str, str | Path]]) -> None:
    """Refuse a folder of pictures that is a file or that another option names, too.

    Args:
        option: That names the folder.
        folder: The folder; need not exist.
        others: Folders and patterns of other options, each with its option.

    Raises:
        UsageError: If it is one.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{option} got {folder}, a file; expected a folder")
    for other, path in others:
        if folder.resolve() == Path(path).resolve():
            raise UsageError(f"{option} and {other} both name {folder}; choose two folders")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    add = add_group(parser, "outputs").add_argument
    add(
        "--save",
        metavar="OUT.mp4",
        type=Path,
        help="annotated video; of several cameras one each: OUT-NAME.mp4; a camera's earlier one "
        "is renamed to OUT-TIME.mp4",
    )
    add("--jsonl", metavar="OUT.jsonl", type=Path, help="one line per picture")
    add("--csv", metavar="OUT.csv", type=Path, help="one row per box")
    add("--contact-sheet", metavar="OUT.png", type=Path, help="evenly spaced pictures in a grid")
    add("--summary-json", metavar="OUT.json", type=Path, help="the final figures, for programs")
    add("--show", action="store_true", help="open a window per camera; q or Escape quits")
    add(
        "--rotate-size",
        metavar="SIZE",
        type=size_in_bytes,
        default=size_in_bytes(ROTATE_SIZE),
        help="--jsonl and --csv of a camera begin a new file at this size, the old one becomes "
        f"OUT.jsonl.1; 0 for never; default {ROTATE_SIZE}",
    )
    add(
        "--rotate-age",
        metavar="TIME",
        type=duration_in_s,
        default=0.0,
        help="and after this time, such as 1h; default: never",
    )
    add(
        "--rotate-keep",
        metavar="N",
        type=positive,
        default=ROTATE_KEEP,
        help=f"old files that are kept; default {ROTATE_KEEP}",
    )
