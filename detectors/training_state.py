"""The files of a run: what continuing it bit for bit needs, and the averaged weights."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from detectors.checkpoints import save_checkpoint
from detectors.train_options import TrainOptions
from detectors.trainer import Trainer
from runtime.atomic_file import replace_when_done
from runtime.errors import CheckpointError, OutputError

# What a file of this command holds.
KEYS = frozenset({"run", "step", "model", "average", "optimizer", "scaler", "random", "best"})


def describe_run(
    trainer: Trainer, images: int, class_names: tuple[str, ...], micro_batch: int
) -> dict[str, Any]:
    """Return the facts in which a resumed run must agree with the first, by their option's name."""
    options = asdict(trainer.options)
    # The micro-batch holds what this and the number of processes mean to the network.
    del options["accumulate"]
    del options["plan"]  # its digest says enough
    return {
        **options,
        **plan_facts(trainer.options),
        "images": images,
        "class_names": list(class_names),
        "micro_batch": micro_batch,
    }


def plan_facts(options: TrainOptions) -> dict[str, str]:
    """Return the digest of the INT8 plan that a network is trained for, nothing without one."""
    return {"int8_plan": options.plan.digest()} if options.plan else {}


def save_state(
    path: Path, trainer: Trainer, run: Mapping[str, Any], best: Mapping[str, Any]
) -> None:
    """Write everything that a resumed run needs, completely or not at all.

    Args:
        path: The file to write.
        trainer: The network, its optimizer and its averaged weights.
        run: From ``describe_run``.
        best: The best evaluation so far; may be empty.

    Raises:
        OutputError: If it cannot be written; the file that was there before is left.
    """
    state = {
        "run": dict(run),
        "step": trainer.step,
        "model": trainer.network.state_dict(),
        "average": trainer.average.network.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "random": _random_states(trainer.device),
        "best": dict(best),
    }
    try:
        with replace_when_done(path) as partial, partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())  # before the rename: a crash must not leave an empty file
    except (OSError, RuntimeError) as error:  # torch wraps a full disk's error in its own
        system = error if isinstance(error, OSError) else error.__context__
        reason = getattr(system, "strerror", None) or error
        raise OutputError(
            f"cannot write {path} ({reason}); the checkpoint before it, if any, is intact; free "
            "some space or choose another --out, and continue with --resume"
        ) from None


def restore_state(path: Path, trainer: Trainer, run: Mapping[str, Any]) -> dict[str, Any]:
    """Continue from a file.

    Returns:
        The best evaluation so far; may be empty.

    Raises:
        CheckpointError: If the file is missing or damaged, or belongs to other options.
    """
    state = _read_state(path, trainer.device)
    found = state["run"]
    differing = [
        f"{name} was {found.get(name)!r}, is {run.get(name)!r}"
        for name in sorted(found.keys() | run.keys())
        if found.get(name) != run.get(name)
    ]
    if differing:
        raise CheckpointError(
            f"{path} was made with other options ({'; '.join(differing)}); repeat them, or start "
            "in another --out"
        )
    try:
        trainer.network.load_state_dict(state["model"])
        trainer.average.network.load_state_dict(state["average"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.scaler.load_state_dict(state["scaler"])
        _restore_random_states(state["random"], trainer.device)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not fit this network ({_first_sentence(error)}); expected what this "
            "version writes; leave --resume away"
        ) from None
    trainer.step = state["step"]
    return state["best"]


def write_average(path: Path, trainer: Trainer, facts: Mapping[str, str]) -> None:
    """Write the averaged weights as safetensors.

    Args:
        path: The file to write.
        trainer: Holds the weights.
        facts: What its metadata says beside model, size, steps, batch, seed and torch's version.

    Raises:
        OSError: If it cannot be written; the file that was there before is left.
    """
    options = trainer.options
    metadata = {
        **plan_facts(options),
        "model": options.model,
        "size_hw": json.dumps(options.size_hw),
        "steps": str(trainer.step),
        "batch": str(options.batch),
        "seed": str(options.seed),
        "torch": torch.__version__,
    }
    save_checkpoint(trainer.average.network, path, metadata | dict(facts))


def remove_leftovers(path: Path) -> None:
    """Delete what killed runs had begun to write in place of ``path``."""
    for leftover in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
        leftover.unlink(missing_ok=True)


def _read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a file of ``save_state``; nothing in it is executed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; the outcome is checked
            state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"no {path} to resume from; leave --resume away") from None
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointError(
            f"cannot read {path} ({_first_sentence(error)}); leave --resume away"
        ) from None
    if (
        not isinstance(state, dict)
        or not state.keys() >= KEYS
        or not isinstance(state["run"], dict)
        or not isinstance(state["step"], int)
    ):
        raise CheckpointError(f"{path} is no checkpoint of this command; leave --resume away")
    return state


def _first_sentence(error: Exception) -> str:
    """Return what an error of torch begins with; the rest may advise to trust the file."""
    return str(error).partition("\n")[0].partition(". ")[0].rstrip(".:") or type(error).__name__


def _random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the generators that a network may draw from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _restore_random_states(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"].cpu())
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)
