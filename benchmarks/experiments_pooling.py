"""The same network with and without corner pooling, trained alike.

Both start from the same random weights for a seed, see the same images in the same order, and
differ in nothing but the two pools of each corner module: without, a branch hands on its features.
"""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.experiments_budget import Budget, ImageSets, computed_once
from detectors.checkpoints import load_checkpoint
from detectors.evaluate import EVALUATION_OPTIONS, evaluate
from detectors.heads import CornerModule
from detectors.predict import predictor_from_network
from detectors.registry import build_detector, find_spec
from detectors.shapes import CLASS_NAMES
from detectors.train_options import Session, TrainOptions
from detectors.training_run import run_training
from runtime.atomic_file import sha256_of

MODEL = "cornernet-nano"
WITH, WITHOUT = "with", "without"


def train_runs(budget: Budget, sets: ImageSets, folder: Path) -> list[dict[str, Any]]:
    """Train with and without corner pooling, once per seed; finished runs are not repeated.

    Returns:
        For every run: ``pooling``, ``seed``, ``seconds``, ``weights_sha256``, ``curve`` with the
        average precision at some steps, ``final`` with all of its figures at the end.
    """
    runs = []
    for seed in budget.seeds:
        for pooling in (WITH, WITHOUT):
            stamp = {
                "options": dataclasses.asdict(options_of(budget, seed)),
                "images": len(sets.training.examples),
                "min_size_px": budget.min_size_px,
                "evaluated": len(sets.unseen.ordinary.examples),
                "evaluate_every": budget.evaluate_every,
            }
            print(f"training {pooling} corner pooling, seed {seed}", flush=True)
            result = computed_once(
                run_folder(folder, pooling, seed) / "result.json",
                stamp,
                partial(_train, pooling, seed, budget, sets, folder),
            )
            runs.append({"pooling": pooling, "seed": seed, **result})
    return runs


def run_folder(folder: Path, pooling: str, seed: int) -> Path:
    """Return where one run lies."""
    return folder / f"{pooling}-{seed}"


def options_of(budget: Budget, seed: int) -> TrainOptions:
    """Return what determines a run; the same with and without corner pooling."""
    return TrainOptions(
        model=MODEL,
        size_hw=budget.size_hw,
        steps=budget.steps,
        batch=budget.batch,
        warmup=budget.warmup,
        vertical_flip=True,
        seed=seed,
    )


def network_for(pooling: str, seed: int) -> nn.Module:
    """Return a fresh network; a seed gives the same weights with and without corner pooling."""
    torch.manual_seed(seed)
    network = build_detector(MODEL, len(CLASS_NAMES))
    if pooling == WITHOUT:
        remove_corner_pooling(network)
    return network


def remove_corner_pooling(network: nn.Module) -> None:
    """Let both branches of every corner module hand on their features as they are."""
    modules = [module for module in network.modules() if isinstance(module, CornerModule)]
    assert modules, "a CornerNet has corner modules"
    for module in modules:
        module.pool1 = nn.Identity()
        module.pool2 = nn.Identity()


def trained_network(folder: Path, pooling: str, seed: int) -> nn.Module:
    """Return the network of a finished run, in evaluation mode."""
    network = network_for(pooling, seed)
    load_checkpoint(network, run_folder(folder, pooling, seed) / f"{MODEL}.safetensors")
    return network.eval()


def learning_curve(log: Path) -> list[dict[str, float]]:
    """Return step and average precision of every evaluation that a run's log records."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [{"step": r["step"], "ap": r["ap"]} for r in records if "ap" in r]


def _train(
    pooling: str, seed: int, budget: Budget, sets: ImageSets, folder: Path
) -> dict[str, Any]:
    """Train one network, or go on with it, and evaluate what came out."""
    place = run_folder(folder, pooling, seed)
    session = Session(
        place,
        resume=(place / "last.pt").is_file(),
        evaluate_every=budget.evaluate_every,
        command="python -m benchmarks.experiments",
    )
    options, network = options_of(budget, seed), network_for(pooling, seed)
    result = run_training(options, session, sets.training, sets.unseen.ordinary, network)
    predict = predictor_from_network(
        trained_network(folder, pooling, seed), find_spec(MODEL), budget.size_hw, EVALUATION_OPTIONS
    )
    return {
        "seconds": round(result.seconds, 1),
        "weights_sha256": sha256_of(result.weights),
        "curve": learning_curve(place / "log.jsonl"),
        "final": dataclasses.asdict(evaluate(sets.unseen.ordinary, predict)),
    }
