"""Lets threads that only show the stream give way to those that make it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

# The scheduler gives such a thread about a tenth of the time of one that has the usual priority,
# and all of a core that nobody else wants.
NICENESS = 10


def give_way() -> None:
    """Lower the calling thread's priority, for good; never raise it.

    On Linux a niceness belongs to a thread, elsewhere to the whole process: there, nothing happens.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):  # a sandbox may forbid it
        lower = max(os.getpriority(os.PRIO_PROCESS, thread), NICENESS)
        os.setpriority(os.PRIO_PROCESS, thread, lower)
