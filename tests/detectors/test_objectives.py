"""What each family of detectors learns from."""

from __future__ import annotations

import pytest
import torch

from detectors.dataset import read_coco
from detectors.objectives import find_objective, loss_weights
from detectors.registry import build_detector, find_spec
from tests.detectors.tiny_training import tiny_batches, tiny_options


@pytest.mark.parametrize("augmentation", ["zoom", "published"])
def test_a_batch_of_corners_fits_its_network(shapes, augmentation):
    options = tiny_options(augmentation=augmentation)
    batch = next(tiny_batches(shapes, options))
    assert batch["image"].shape == (2, 64, 64, 3) and batch["image"].dtype == torch.uint8
    assert batch["tl_heat"].shape == (2, 6, 16, 16)
    assert (batch["tl_heat"] == 1).sum() >= 2
    outputs = build_detector("cornernet-nano", 6)(torch.zeros(2, 3, 64, 64))
    loss = find_objective(find_spec("cornernet-nano")).loss(outputs, batch, loss_weights(options))
    assert torch.isfinite(loss["total"])


def test_augmentations_differ(shapes):
    zoomed, cropped = (
        next(tiny_batches(shapes, tiny_options(augmentation=name)))
        for name in ("zoom", "published")
    )
    assert torch.equal(zoomed["image_id"], cropped["image_id"])
    assert not torch.equal(zoomed["image"], cropped["image"])


def test_odd_sizes_of_the_published_networks_give_their_heatmaps(shapes):
    spec = find_spec("cornernet-squeeze")
    options = tiny_options(model="cornernet-squeeze", size_hw=(127, 255))
    item = find_objective(spec).training_set(options, spec, read_coco(shapes))[0, 0]
    assert item["image"].shape == (127, 255, 3) and item["br_heat"].shape == (6, 16, 32)


def test_the_options_weigh_the_losses():
    weights = loss_weights(tiny_options(embedding_weight=0.25, offset_weight=0.5))
    assert (weights.pull, weights.push, weights.offset) == (0.25, 0.25, 0.5)


def test_a_batch_of_centres_fits_its_network(shapes):
    options = tiny_options(model="centernet-nano")
    batch = next(tiny_batches(shapes, options))
    assert batch["hm"].shape == (2, 6, 16, 16) and batch["wh"].shape[2] == 2
    assert (batch["hm"] == 1).sum() >= 1
    outputs = build_detector("centernet-nano", 6)(torch.zeros(2, 3, 64, 64))
    loss = find_objective(find_spec("centernet-nano")).loss(outputs, batch, loss_weights(options))
    assert set(loss) == {"focal", "size", "offset", "total"}
    assert torch.isfinite(loss["total"])
