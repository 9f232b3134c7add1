"""Weights on disk: reading our safetensors and the published pickles, writing safetensors.

Pickles are read with torch's restricted reader: a file that wants to call anything is refused.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from detectors.checkpoint_layouts import find_model_name, is_counter, name_layout
from runtime.atomic_file import replace_when_done
from runtime.errors import CheckpointError

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class LoadReport:
    """What became of every key.

    Attributes:
        layout: "cornerrt", "cornernet-lite" or "cornernet-2018".
        matched: Keys of the model that were filled.
        missing: Keys of the model that the file lacks; step counters of batch normalisation, which
            evaluation never reads, may be absent and are not listed.
        unexpected: Keys of the file, as written there, that the model lacks.
        misshaped: Keys of the model for which the file has another shape; left as they were.
    """

    layout: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """True if file and model agree in every key and shape."""
        return not (self.missing or self.unexpected or self.misshaped)

    def summary(self) -> str:
        """Return counts and the first names of what did not match, in one line."""
        problems = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.misshaped,
        }
        parts = [f"{len(self.matched)} tensors match"]
        for label, keys in problems.items():
            if keys:
                more = ", ..." if len(keys) > 3 else ""
                parts.append(f"{len(keys)} {label} ({', '.join(keys[:3])}{more})")
        return f"layout {self.layout}: " + ", ".join(parts)


def load_checkpoint(model: nn.Module, path: Path | str, strict: bool = True) -> LoadReport:
    """Fill a detector with the weights of a file; on an error the model is left untouched.

    Values are converted to the model's types, so a file of float16 fills a float32 model.

    Args:
        model: The network, on any device.
        path: A ``.safetensors`` file or a published pickle (``.pkl``).
        strict: False also accepts a partial match, as for fine-tuning; read the report then.

    Returns:
        What matched and what did not.

    Raises:
        CheckpointError: If the file is missing, damaged or unsafe, nothing in it belongs to the
            model, or, when strict, any key or shape differs.
    """
    tensors = _read_tensors(Path(path))
    layout, file_keys = name_layout(tensors)
    state = model.state_dict()
    common = [key for key in state if key in file_keys]
    matched = [key for key in common if tensors[file_keys[key]].shape == state[key].shape]
    report = LoadReport(
        layout=layout,
        matched=tuple(matched),
        missing=tuple(k for k in state if k not in file_keys and not is_counter(k)),
        unexpected=tuple(original for key, original in file_keys.items() if key not in state),
        misshaped=tuple(sorted(set(common) - set(matched))),
    )
    if not matched or (strict and not report.is_complete):
        found = {key: tensors[original] for key, original in file_keys.items()}
        raise CheckpointError(f"{path} {_explain_mismatch(report, found, state)}")
    model.load_state_dict({key: tensors[file_keys[key]] for key in matched}, strict=False)
    return report


def save_checkpoint(
    model: nn.Module, path: Path, metadata: Mapping[str, str], dtype: torch.dtype = torch.float32
) -> None:
    """Write a detector's weights as safetensors, completely or not at all.

    Step counters of batch normalisation are left out: nothing here reads them.

    Args:
        model: The network, on any device.
        path: The file to write, ending in ``.safetensors``; its folder is created.
        metadata: Anything worth keeping beside the weights: model name, classes, command, seed.
        dtype: Storage type of all tensors, float32 or float16.

    Raises:
        CheckpointError: If the name does not end in ``.safetensors``, or a value is not finite or
            too large for ``dtype``.
    """
    if path.suffix != SUFFIX:
        raise CheckpointError(f"cannot write {path}; expected a name ending in {SUFFIX}")
    tensors = {
        key: value.detach().to("cpu", dtype).contiguous()
        for key, value in model.state_dict().items()
        if not is_counter(key)
    }
    for key, value in tensors.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(
                f"{key} is not finite as {dtype}; expected finite weights; "
                "the training diverged, or the values need torch.float32"
            )
    with replace_when_done(path) as partial:
        save_file(tensors, partial, metadata=dict(metadata))


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


def read_class_names(path: Path) -> tuple[str, ...] | None:
    """Return the names of the classes that lie beside the weights; None if there are none.

    Raises:
        CheckpointError: If the file is missing or damaged, or the names are no JSON list of text.
    """
    text = read_metadata(path).get("class_names")
    if text is None:
        return None
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(
            f"{path} has class_names {text[:40]!r}; expected a JSON list of names; save the "
            "weights again"
        )
    return tuple(names)


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


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file onto the CPU, under the names written there."""
    _require_content(path)
    try:
        content = load_file(path) if path.suffix == SUFFIX else _read_pickle(path)
    except CheckpointError:
        raise
    except Exception as error:  # damaged bytes fail anywhere inside the readers
        raise _damaged(path, error) from None
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
            "refused and nothing of it ran: use weights from a source you trust, saved as "
            f"{SUFFIX}"
        ) from None


def _explain_mismatch(
    report: LoadReport, found: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> str:
    """Say in words how a file and a model differ, with the likeliest reason."""
    wanted = find_model_name(state) or "the model"
    got = find_model_name(found)
    if got is not None and got != wanted:
        return f"holds weights of {got}; expected {wanted}; choose the model {got}"
    if not report.matched and not report.misshaped:
        key = next(iter(found))
        return f"has keys such as {key!r} and no weights of {wanted}; expected its state_dict()"
    if report.misshaped and all("_heat" in key for key in report.misshaped):
        key = report.misshaped[0]
        classes, expected = found[key].shape[0], state[key].shape[0]
        return (
            f"holds weights for {classes} classes; expected {expected}; "
            f"build the model with num_classes={classes}"
        )
    return (
        f"does not fit {wanted}: {report.summary()}; expected every key and shape of the model; "
        "fetch or train the weights again"
    )
