"""Weights on disk: reading our safetensors and the published pickles, writing safetensors.

Published are those of CornerNet, CornerNet-Lite (``.pkl``), CenterNet and mmdetection (``.pth``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from detectors.checkpoint_files import SUFFIX, read_content, read_metadata, read_tensors
from detectors.checkpoint_layouts import find_model_name, is_counter, name_layout
from detectors.checkpoint_mmdetection import INPUT_NOTE, class_names_of, fold_input
from detectors.checkpoint_mmdetection import LAYOUT as MMDETECTION
from detectors.checkpoint_mmdetection_centernet import add_biases
from runtime.atomic_file import replace_when_done
from runtime.errors import CheckpointError, OutputError

# A key of a heatmap's head: heads.tl_heat.1 of nano, tl_heats.0.1 of the published CornerNets,
# heads.0.hm.2 of CenterNets.
HEATMAP_LAYER = re.compile(r"_heat|^heads\.(\d+\.)?hm\.")


@dataclass(frozen=True)
class LoadReport:
    """What became of every key.

    Attributes:
        layout: "cornerrt", "cornernet-lite", "cornernet-2018", "centernet" or "mmdetection".
        matched: Keys of the model that were filled.
        missing: Keys of the model that the file lacks; step counters of batch normalisation, which
            evaluation never reads, may be absent and are not listed.
        unexpected: Keys of the file, as written there, that the model lacks.
        misshaped: Keys of the model for which the file has another shape; left as they were.
        ignored: Keys of the file that nothing needs: a second copy, as mmdetection's averaging
            leaves, and what CenterNet's release stores but never computes with.
        note: What had to be changed in the weights; "" if nothing.
    """

    layout: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    note: str = ""

    @property
    def is_complete(self) -> bool:
        """True if file and model agree in every key and shape."""
        return not (self.missing or self.unexpected or self.misshaped)

    def summary(self) -> str:
        """Return counts, and the name of every key that did not match, in one line."""
        problems = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.misshaped,
        }
        parts = [f"{len(self.matched)} tensors match"]
        for label, keys in problems.items():
            if keys:
                parts.append(f"{len(keys)} {label} ({', '.join(keys)})")
        if self.ignored:
            parts.append(f"{len(self.ignored)} unused ignored")
        note = f"; {self.note}" if self.note else ""
        return f"layout {self.layout}: " + ", ".join(parts) + note


def load_checkpoint(model: nn.Module, path: Path | str, strict: bool = True) -> LoadReport:
    """Fill a detector with the weights of a file; on an error the model is left untouched.

    Values are converted to the model's types, so a file of float16 fills a float32 model. Weights
    of mmdetection are also rewritten to take BGR with COCO's statistics, see
    ``detectors.checkpoint_mmdetection.fold_input``.

    Args:
        model: The network, on any device.
        path: A ``.safetensors`` file or a published pickle (``.pkl``, ``.pth``).
        strict: False also accepts a partial match, as for fine-tuning; read the report then.

    Returns:
        What matched and what did not.

    Raises:
        CheckpointError: If the file is missing, damaged or unsafe, nothing in it belongs to the
            model, or, when strict, any key or shape differs.
    """
    tensors = read_tensors(Path(path))
    layout, file_keys = name_layout(tensors)
    found = {key: tensors[original] for key, original in file_keys.items()}
    if layout == MMDETECTION:
        found = add_biases(found)
    state = model.state_dict()
    common = [key for key in state if key in found]
    matched = [key for key in common if found[key].shape == state[key].shape]
    report = LoadReport(
        layout=layout,
        matched=tuple(matched),
        missing=tuple(k for k in state if k not in found and not is_counter(k)),
        unexpected=tuple(original for key, original in file_keys.items() if key not in state),
        misshaped=tuple(sorted(set(common) - set(matched))),
        ignored=tuple(sorted(set(tensors) - set(file_keys.values()))),
        note=INPUT_NOTE if layout == MMDETECTION else "",
    )
    if not matched or (strict and not report.is_complete):
        raise CheckpointError(f"{path} {_explain_mismatch(report, found, state)}")
    if layout == MMDETECTION:
        found = fold_input(found)
    model.load_state_dict({key: found[key] for key in matched}, strict=False)
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
        OutputError: If the disk is full.
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
    try:
        with replace_when_done(path) as partial:
            save_file(tensors, partial, metadata=dict(metadata))
    except SafetensorError as error:  # a full disk, for one
        raise OutputError(
            f"cannot write {path} ({error}); free some space or choose another folder"
        ) from None


def read_class_names(path: Path) -> tuple[str, ...] | None:
    """Return the names of the classes that lie beside the weights; None if there are none.

    Of the published files only mmdetection's have them.

    Raises:
        CheckpointError: If the file is missing, damaged or unsafe, or the names are no JSON list
            of text.
    """
    if path.suffix != SUFFIX:
        content = read_content(path)
        return class_names_of(content.get("meta") if isinstance(content, dict) else None)
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
    if report.misshaped and all(HEATMAP_LAYER.search(key) for key in report.misshaped):
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
