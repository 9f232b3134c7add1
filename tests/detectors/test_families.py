"""What families of detectors differ in, and that every one fits its networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors.families import FAMILIES, Family, find_family
from detectors.losses import LossWeights
from detectors.registry import DETECTORS, build_detector, find_spec
from runtime.contract import BOX_NAMES
from runtime.errors import UsageError

NANO = {"cornernet": "cornernet-nano", "centernet": "centernet-nano"}
SIZE_HW, CELLS_HW = (64, 96), (16, 24)
families = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_found_by_its_name(name: str) -> None:
    assert find_family(name).name == name
    assert any(spec.family is find_family(name) for spec in DETECTORS.values())


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown family 'yolo'; expected one of cornernet, cent"):
        find_family("yolo")


@families
def test_rows_hold_what_the_graph_gives(family: Family) -> None:
    spec = find_spec(NANO[family.name])
    with torch.inference_mode():
        maps = build_detector(NANO[family.name], 2).eval()(torch.randn(2, 3, *SIZE_HW))
        rows = family.decode(maps, spec.decode)
    extras = len(family.detection_names) - len(BOX_NAMES)
    assert family.detection_names[: len(BOX_NAMES)] == BOX_NAMES
    assert rows.shape[0] == 2 and rows.dtype == torch.float32
    assert (rows.shape[2] > 6) is bool(extras)
    found = rows[rows[..., 4] > 0]
    assert len(found) and set(found[:, -1].tolist()) <= {0.0, 1.0}
    scores = rows[..., 4]
    assert (scores[:, :-1] >= scores[:, 1:]).all()


@families
def test_targets_and_loss_belong_together(family: Family) -> None:
    targets = family.targets(2, SIZE_HW, CELLS_HW).build(
        np.array([[8.0, 8.0, 40.0, 30.0]]), np.array([1])
    )
    batch = {name: torch.from_numpy(value)[None] for name, value in targets.items()}
    outputs = build_detector(NANO[family.name], 2)(torch.randn(1, 3, *SIZE_HW))
    losses = family.loss(outputs, batch, LossWeights())
    assert torch.isfinite(losses["total"]) and losses["total"].requires_grad
    assert set(family.heat_names) <= set(family.map_names) & set(targets)
    for name in family.heat_names:
        assert targets[name].shape == (2, *CELLS_HW)
