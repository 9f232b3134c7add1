"""CornerNet-Saccade through the trainer: its own training set and loss."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from detectors.batches import load_batches
from detectors.dataset import read_coco
from detectors.losses import saccade_loss
from detectors.objectives import find_objective
from detectors.registry import find_spec
from detectors.saccade_augment import SaccadeAugment
from detectors.train_options import TrainOptions
from detectors.trainer import Trainer
from runtime.contract import ATTENTION_NAMES, MAP_NAMES
from tests.detectors.tiny_training import tiny_options

NAME = "cornernet-saccade"
SPEC = find_spec(NAME)


class TinyAttentive(nn.Module):
    """One convolution per map, in one stack."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        channels = (num_classes, num_classes, 1, 1, 2, 2)
        sizes = {n: (c, 4) for n, c in zip(MAP_NAMES, channels, strict=True)}
        sizes |= {n: (1, stride) for n, stride in zip(ATTENTION_NAMES, (16, 8, 4), strict=True)}
        self.heads = nn.ModuleDict(
            {n: nn.Conv2d(3, c, s, s, padding=1) for n, (c, s) in sizes.items()}
        )

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        return [{name: head(images) for name, head in self.heads.items()}]


def saccade_options(**changes: object) -> TrainOptions:
    return tiny_options(model=NAME, size_hw=(127, 127), **changes)


def train(options: TrainOptions, shapes: Path, network: nn.Module | None, steps: int) -> list:
    coco = read_coco(shapes)
    trainer = Trainer(options, len(coco.class_names), network=network)
    dataset = find_objective(trainer.spec).training_set(options, trainer.spec, coco)
    batches = load_batches(dataset, options, trainer.processes, 0)
    return [trainer.train_step(batches) for _ in range(steps)]


def test_it_has_an_objective_of_its_own(shapes: Path) -> None:
    objective = find_objective(SPEC)
    assert objective.loss is saccade_loss
    assert objective is not find_objective(find_spec("cornernet-nano"))
    dataset = objective.training_set(saccade_options(), SPEC, read_coco(shapes))
    assert isinstance(dataset.augmentation, SaccadeAugment)
    assert dataset.targets.gaussian_iou == 0.5


def test_items_hold_attention_and_what_counts(shapes: Path) -> None:
    dataset = find_objective(SPEC).training_set(saccade_options(), SPEC, read_coco(shapes))
    items = [dataset[epoch, index] for epoch, index in itertools.product(range(4), range(6))]
    assert items[0]["image"].shape == (127, 127, 3)
    assert [tuple(items[0][name].shape) for name in ATTENTION_NAMES] == [
        (1, 8, 8),
        (1, 16, 16),
        (1, 32, 32),
    ]
    assert items[0]["tl_valid"].shape == items[0]["tl_heat"].shape == (6, 32, 32)
    marks = sum(int(item[name].sum()) for item in items for name in ATTENTION_NAMES)
    assert marks >= len(items)
    assert any((item["tl_valid"] == 0).any() for item in items)
    again = dataset[2, 3]
    assert all(torch.equal(again[name], items[2 * 6 + 3][name]) for name in again)


def test_steps_teach_attention(shapes: Path) -> None:
    torch.manual_seed(0)
    records = train(saccade_options(steps=30, rate=3e-3), shapes, TinyAttentive(6), 30)
    assert {"focal", "pull", "push", "offset", "attention", "total"} <= set(records[0])
    early, late = (
        sum(record["attention"] for record in part) for part in (records[:8], records[-8:])
    )
    assert late < early


@pytest.mark.slow
def test_the_whole_network_takes_a_step(shapes: Path) -> None:
    (record,) = train(saccade_options(steps=1), shapes, None, 1)
    assert 0 < record["attention"]
    assert 0 < record["gradient"] < float("inf")
