"""Every error that CornerRT raises on purpose: one tree, so that a command catches one class.

A message says what was got, what was expected, and what to do about it, in one line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class CornerRTError(Exception):
    """Base of all expected failures; commands print its message and exit with status 2."""


class UsageError(CornerRTError):
    """An option or argument does not make sense."""


class ContractError(CornerRTError):
    """The JSON contract beside an artifact is missing, malformed or does not match it."""


class ArtifactError(CornerRTError):
    """A model file is missing, truncated, or not one that this program can use."""


class CheckpointError(CornerRTError):
    """A file of weights cannot be read, is unsafe to read, or belongs to another model."""


class DatasetError(CornerRTError):
    """Images or annotations are missing or malformed."""


class TrainingError(CornerRTError):
    """A training run cannot go on: its losses are no numbers any more."""


class SourceError(CornerRTError):
    """A camera, video or folder of images cannot be opened, or stopped delivering."""


class OutputError(CornerRTError):
    """A video, picture or record of detections cannot be written, or a window not be shown."""


class BackendError(CornerRTError):
    """An inference backend is not installed, refused a model, or failed while running."""


class ExportError(CornerRTError):
    """A detector could not be written as ONNX."""


class CalibrationError(CornerRTError):
    """Ranges could not be gathered or quantize/dequantize nodes not be placed."""


class BuildError(CornerRTError):
    """An engine could not be built, or is not what was asked for."""


def run_command(command: Callable[[], int]) -> int:
    """Run a command's body and turn expected failures into one line and an exit status.

    Args:
        command: The body; returns the exit status.

    Returns:
        What ``command`` returned; 2 after a ``CornerRTError``, an ``OSError`` or a missing module,
        printed on stderr as one line; 130 after Ctrl-C.
    """
    try:
        return command()
    except CornerRTError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    except OSError as error:  # an output that cannot be written, a full disk
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}; use another path", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:  # a command is given in an environment without its extra
        print(
            f"error: found no module {error.name}; expected the packages of this command; install "
            "it, or all that a checkout needs: make setup",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
