"""The one way in which calibration shows progress."""

from __future__ import annotations

import sys

from tqdm import tqdm


def progress_bar(
    total: int | None, what: str = "observing", unit: str = "image", done: int = 0
) -> tqdm[None]:
    """Return a bar with the time left, on stderr; silent where that is no terminal.

    Args:
        total: Number of units; None if nobody knows, which shows no time left.
        what: What is going on.
        unit: What is counted.
        done: Units that an earlier run has done.
    """
    silent = not sys.stderr.isatty()
    return tqdm(total=total, desc=what, unit=unit, initial=done, disable=silent, leave=False)
