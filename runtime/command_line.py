"""What every command of the project shares: its parser, and looking at outputs before the work."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NoReturn

from runtime.contract import FORMAT
from runtime.errors import UsageError

SEEDS = 2**63  # torch takes no larger ones, NumPy no negative ones
# More than any machine has cores; ONNX Runtime would try to start a million of them.
MOST_THREADS = 1024


class CommandParser(argparse.ArgumentParser):
    """A parser whose complaint is one line, as of every other error: parse in ``run_command``."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise UsageError(f"{message}; see: {self.prog} --help")


def count(text: str) -> int:
    """Return an option's value as a whole number from 0; a ``type`` for the parser."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number from 0")
    return int(text)


def positive(text: str) -> int:
    """Return an option's value as a whole number from 1; a ``type`` for the parser."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number from 1")
    return int(text)


def seed(text: str) -> int:
    """Return an option's value as a seed of NumPy and torch; a ``type`` for the parser."""
    if not text.isdecimal() or int(text) >= SEEDS:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number from 0 to 2^63-1")
    return int(text)


def thread_count(text: str) -> int:
    """Return an option's value as CPU threads, 0 for all cores; a ``type`` for the parser."""
    if not text.isdecimal() or int(text) > MOST_THREADS:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected a whole number from 0 to {MOST_THREADS}"
        )
    return int(text)


def check_output(option: str, path: Path, suffix: str = "") -> None:
    """Refuse an output that could not be written, before the long work and not after it.

    Args:
        option: The option that named it, for the message.
        path: The file to be written; its folder is created.
        suffix: The ending that its name must have, such as ".onnx"; "" accepts any.

    Raises:
        UsageError: If the name is a folder's, a device's or a model's contract's, or ends
            otherwise, or its folder is not writable.
    """
    if not path.name.lower().endswith(suffix):
        raise UsageError(f"{option} got {path}; expected a name that ends in {suffix}")
    if path.is_dir():
        raise UsageError(f"{option} got {path}, a folder; expected a file name")
    if path.exists() and not path.is_file():  # it would be replaced by a file
        raise UsageError(f"{option} got {path}, a device or pipe; expected a file name")
    if _is_contract(path):
        raise UsageError(
            f"{option} got {path}, the contract of {path.stem}; expected another name: without its "
            "contract a model is of no use"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(
            f"{option} cannot write in {path.parent} ({error.strerror}); expected a folder of "
            f"yours; choose another {option}"
        ) from None


def _is_contract(path: Path) -> bool:
    """Say whether a file is the contract of a model, by how it begins."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as stream:
        return FORMAT.encode() in stream.read(len(FORMAT) + 20)
