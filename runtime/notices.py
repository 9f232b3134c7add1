"""Lines for the user that are no errors, each said once."""

from __future__ import annotations

import functools
import sys


@functools.cache  # forgets nothing: there are few, and none may come again
def notice_once(text: str) -> None:
    """Print a notice on stderr; the same text again, as after a reconnect, prints nothing."""
    print(f"notice: {text}", file=sys.stderr)
