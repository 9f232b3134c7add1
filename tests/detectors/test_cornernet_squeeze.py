"""Tests of detectors/cornernet_squeeze.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from detectors.cornernet_squeeze import cornernet_squeeze
from detectors.losses import cornernet_loss
from tests.detectors.deterministic_weights import build_filled, draw_images
from tests.detectors.golden_networks import (
    GOLDEN,
    assert_maps_golden,
    predict,
    read_state,
    shapes_of,
)


@pytest.fixture(scope="module")
def squeeze() -> nn.Module:
    """The published network with deterministic weights, in evaluation mode."""
    return build_filled(lambda: cornernet_squeeze(80))


def test_keys_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        model = cornernet_squeeze(80)
    assert shapes_of(model) == {k: row[0] for k, row in read_state("squeeze").items()}


def test_filled_weights_match_the_golden_sums(squeeze):
    state = squeeze.state_dict()
    for key, (_, total, first) in read_state("squeeze").items():
        assert state[key].double().sum().item() == pytest.approx(total, rel=1e-9, abs=1e-9), key
        assert state[key].flatten()[0].item() == pytest.approx(first, rel=1e-7), key


@pytest.mark.parametrize("size", [127, 255, pytest.param(511, marks=pytest.mark.slow)])
def test_maps_match_the_original(squeeze, size):
    assert_maps_golden(predict(squeeze, size), "squeeze", size)


@pytest.mark.slow
def test_one_training_step_matches_the_original():
    golden = np.load(GOLDEN / "trainstep_squeeze.npz")
    model = build_filled(lambda: cornernet_squeeze(80)).train()
    images = draw_images(int(golden["input_seed"]), tuple(golden["input_shape"]))
    names = {"tl_heat", "br_heat", "tl_off", "br_off", "mask"}
    targets = {name: torch.from_numpy(golden[f"gt_{name}"]) for name in names}
    targets |= {f"{c}_inds": torch.from_numpy(golden[f"gt_{c}_ind"]) for c in ("tl", "br")}
    loss = cornernet_loss(model(images), targets)["total"]
    loss.backward()
    assert loss.item() == pytest.approx(float(golden["loss_f64"]), rel=1e-5)

    gradients = {name: p.grad.double() for name, p in model.named_parameters()}
    norms = np.array([gradients[key].norm().item() for key in golden["param_keys"]])
    # Batch statistics amplify rounding: the reference's own float32 and float64 differ by 1.4e-3.
    np.testing.assert_allclose(norms, golden["grad_norm_f64"], rtol=5e-3)
    buffers = dict(model.named_buffers())
    sums = np.array([buffers[key].double().sum().item() for key in golden["buffer_keys"]])
    np.testing.assert_allclose(sums, golden["buffer_sum_after_f64"], rtol=1e-4, atol=1e-4)
