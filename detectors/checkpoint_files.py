"""Files of weights, read without running anything: safetensors, and pickles of tensors."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from runtime.errors import CheckpointError

SUFFIX = ".safetensors"


def read_metadata(path: Path) -> dict[str, str]:
    """Return what ``save_checkpoint`` wrote beside the weights; empty for a published pickle.

    Raises:
        CheckpointError: If the file is missing, empty, or damaged safetensors.
    """
    _require_content(path)
    if path.suffix != SUFFIX:
        return {}
    try:
        with safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def read_content(path: Path) -> object:
    """Read whatever a file holds, tensors on the CPU.

    Raises:
        CheckpointError: If the file is missing, empty, damaged, or holds more than plain data.
    """
    _require_content(path)
    try:
        return load_file(path) if path.suffix == SUFFIX else _read_pickle(path)
    except CheckpointError:
        raise
    except Exception as error:  # damaged bytes fail anywhere inside the readers
        raise _damaged(path, error) from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file, under the names written there, out of a wrapper if it has one.

    Raises:
        CheckpointError: As ``read_content``, or if something else than tensors lies among them.
    """
    content = read_content(path)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]  # beside it: epoch, optimizer, meta
    if not isinstance(content, dict) or not content:
        got = f"a {type(content).__name__}" if content else "nothing"
        raise CheckpointError(f"{path} holds {got}; expected tensors by name, as state_dict() has")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path} holds {key!r} of type {type(value).__name__}; expected only tensors by "
                "name; save model.state_dict() alone"
            )
    return content


def _read_pickle(path: Path) -> object:
    """Unpickle a torch file without calling anything that it names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; the outcome is checked
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted is None:
            raise CheckpointError(
                f"{path} is not a pickle of tensors; expected a torch file of a state_dict(); "
                "it is damaged or something else: fetch it again"
            ) from None
        raise CheckpointError(
            f"{path} asks to load {wanted[1]}, which may run code; expected tensors only; it was "
            "refused and nothing of it ran: if you trust its source, keep its tensors alone: "
            f"python -c \"import torch; c = torch.load('{path}', weights_only=False); "
            "torch.save(c.get('state_dict', c), 'plain.pth')\""
        ) from None


def _require_content(path: Path) -> None:
    """Refuse a path without a file or a file without bytes."""
    if not path.is_file():
        raise CheckpointError(f"no file at {path}; expected weights as {SUFFIX} or .pkl")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty; expected weights; fetch or train them again")


def _damaged(path: Path, error: Exception) -> CheckpointError:
    """Return the error for a file that its reader gave up on."""
    first_sentence = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
    return CheckpointError(
        f"{path} cannot be read as weights ({first_sentence or type(error).__name__}); expected a "
        f"complete {SUFFIX} or torch file; it is cut short or damaged: fetch or train it again"
    )
