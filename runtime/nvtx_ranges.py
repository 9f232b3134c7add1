"""Names for our stages in Nsight Systems' timeline, by NVIDIA's ``nvtx`` package.

Off unless asked for: then ``no_ranges`` is what the loop calls, and costs as much as an empty
``with``. Asked for, and with no tool attached, NVTX itself does nothing.

    nsys profile --trace=cuda,nvtx,osrt python runtime/measure.py ARTIFACT --nvtx
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager

from runtime.errors import UsageError

# The row of Nsight's timeline that our ranges lie in.
DOMAIN = "CornerRT"
_NOTHING = contextlib.nullcontext()

# Called with a stage's name around each stage of each frame.
StageRange = Callable[[str], AbstractContextManager[object]]


def no_ranges(stage: str) -> AbstractContextManager[object]:
    """Return a block that marks nothing."""
    return _NOTHING


def open_ranges() -> StageRange:
    """Return what marks stages for Nsight; the ranges of one thread may be nested.

    Returns:
        ``stage(name)``: a context manager, made once for each name and used again for each frame,
        from any thread.

    Raises:
        UsageError: If the ``nvtx`` package is not installed.
    """
    try:
        from nvtx import annotate
    except ModuleNotFoundError:
        raise UsageError(
            "--nvtx needs the package nvtx; found none; install it: pip install nvtx, or leave "
            "--nvtx out"
        ) from None

    @functools.cache
    def stage(name: str) -> AbstractContextManager[object]:
        marked: AbstractContextManager[object] = annotate(message=name, domain=DOMAIN)
        return marked

    return stage
