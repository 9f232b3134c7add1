"""Opens the artifact that a stream runs."""

from __future__ import annotations

from collections.abc import Callable

from runtime.artifacts import open_newest
from runtime.backend_base import Backend
from runtime.backend_synthetic import SyntheticBackend
from runtime.backends import open_backend
from runtime.options_model import BUILD_FOLDER, ModelOptions


def open_model(options: ModelOptions, say: Callable[[str], None]) -> Backend:
    """Open the artifact that was asked for, or the newest that can run here, and say which.

    Args:
        options: What was asked for.
        say: Takes a line for the user.

    Raises:
        CornerRTError: If nothing can be opened.
    """
    if options.backend == "synthetic":
        synthetic = SyntheticBackend()
        synthetic.open(options.artifact)
        say("synthetic boxes, no network")
        return synthetic
    if options.artifact is None:
        choice = open_newest(BUILD_FOLDER, options.backend, options.threads)
        say(f"{choice.artifact} on {choice.backend.name} ({choice.reason})")
        return choice.backend
    backend = open_backend(options.artifact, options.backend, options.threads)
    say(f"{options.artifact} on {backend.name} (asked for)")
    return backend
