"""Lines for the user that are no errors."""

from __future__ import annotations

import contextlib
import functools
import os
import sys


@functools.cache  # forgets nothing: there are few, and none may come again
def notice_once(text: str) -> None:
    """Print a notice on stderr; the same text again, as after a reconnect, prints nothing."""
    print_notice(text)


def print_notice(text: str) -> None:
    """Print a notice on stderr, if somebody reads it: a log that is gone is no reason to stop."""
    with contextlib.suppress(OSError):
        print(f"notice: {text}", file=sys.stderr)


def print_last(text: str) -> None:
    """Print what a command says at its end, if somebody reads it: ``| head -1`` is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in the buffer would be tried once more at exit, and change the status.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
