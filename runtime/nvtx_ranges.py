"""Names for our stages in Nsight Systems' timeline, by NVIDIA's ``nvtx`` package.

Off unless asked for. Asked for, and with no tool attached, NVTX itself does nothing.

    nsys profile --trace=cuda,nvtx,osrt python runtime/measure.py ARTIFACT --nvtx
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, TypeVar

from runtime.errors import UsageError

# The row of Nsight's timeline that our ranges lie in.
DOMAIN = "CornerRT"
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Called with a stage's name around each stage of each frame.
StageRange = Callable[[str], AbstractContextManager[object]]


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


def mark_stage(
    stage_range: StageRange, stage: str, action: Callable[Arguments, Result]
) -> Callable[Arguments, Result]:
    """Return what does the same within a stage's range."""

    def run(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        with stage_range(stage):
            return action(*arguments, **named)

    return run
