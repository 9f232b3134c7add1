"""The losses and their gradients against the golden data, and in half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from detectors.losses import LossWeights, cornernet_loss, saccade_loss
from runtime.contract import ATTENTION_NAMES

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "losses.npz"
MAP_NAMES = ("tl_heat", "br_heat", "tl_tag", "br_tag", "tl_off", "br_off")
TARGET_NAMES = {  # ours: the golden file's
    **{name: name for name in ("tl_heat", "br_heat", "tl_off", "br_off", "mask")},
    "tl_inds": "tl_ind",
    "br_inds": "br_ind",
}


def golden_cases() -> list[str]:
    with np.load(GOLDEN) as data:
        return sorted({key.split("/")[0] for key in data.files})


def load_case(
    case: str,
    dtype: torch.dtype,
    map_names: tuple[str, ...] = MAP_NAMES,
    target_names: dict[str, str] = TARGET_NAMES,
) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    with np.load(GOLDEN) as data:
        stacks = [
            {name: torch.from_numpy(data[f"{case}/pred{s}_{name}"]).to(dtype) for name in map_names}
            for s in range(int(data[f"{case}/n_stacks"]))
        ]
        targets = {
            ours: torch.from_numpy(data[f"{case}/gt_{theirs}"])
            for ours, theirs in target_names.items()
        }
    for stack in stacks:
        for values in stack.values():
            values.requires_grad_()
    return stacks, targets


def random_batch(objects: int, dtype: torch.dtype = torch.float32, images: int = 1) -> tuple:
    generator = torch.Generator().manual_seed(3)
    sizes = {"heat": 2, "tag": 1, "off": 2}
    stack = {
        name: torch.randn(images, sizes[name[3:]], 6, 5, generator=generator).to(dtype)
        for name in MAP_NAMES
    }
    targets = {"mask": torch.zeros(images, 4, dtype=torch.uint8)}
    targets["mask"][:, :objects] = 1
    for corner in ("tl", "br"):
        targets[f"{corner}_inds"] = torch.arange(4).repeat(images, 1)
        targets[f"{corner}_off"] = torch.full((images, 4, 2), 0.5)
        heat = torch.zeros(images, 2, 6, 5)
        heat[:, 0].view(images, -1)[:, :objects] = 1
        targets[f"{corner}_heat"] = heat
    return stack, targets


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", golden_cases())
def test_equals_the_golden_data(case: str, dtype: torch.dtype) -> None:
    stacks, targets = load_case(case, dtype)
    losses = cornernet_loss(stacks, targets)
    losses["total"].backward()
    suffix = "f32" if dtype == torch.float32 else "f64"
    with np.load(GOLDEN) as data:
        parts, total = data[f"{case}/components_{suffix}"], data[f"{case}/total_{suffix}"]
        gradients = {
            (s, name): data[f"{case}/grad{s}_{name}"]
            for s in range(len(stacks))
            for name in MAP_NAMES
        }
    expected = {"focal": parts[0] + parts[1], "pull": parts[2], "push": parts[3]}
    expected |= {"offset": parts[4] + parts[5], "total": total}
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].dtype == dtype
        assert losses[name].item() == pytest.approx(float(value), rel=2e-5), name
    for (s, name), gradient in gradients.items():
        got = stacks[s][name].grad.float().numpy()
        np.testing.assert_allclose(got, gradient, rtol=0, atol=5e-7, err_msg=f"{s} {name}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", golden_cases())
def test_with_attention_and_ignored_corners_equals_the_golden_data(
    case: str, dtype: torch.dtype
) -> None:
    names = (*MAP_NAMES, *ATTENTION_NAMES)
    extra = {name: name for name in (*ATTENTION_NAMES, "tl_valid", "br_valid")}
    stacks, targets = load_case(case, dtype, names, TARGET_NAMES | extra)
    losses = saccade_loss(stacks, targets)
    losses["total"].backward()
    suffix = "f32" if dtype == torch.float32 else "f64"
    with np.load(GOLDEN) as data:
        total = float(data[f"{case}/saccade_total_{suffix}"])
        assert losses["total"].dtype == dtype
        assert losses["total"].item() == pytest.approx(total, rel=2e-5)
        for s, stack in enumerate(stacks):
            for name in ("tl_heat", "br_heat", *ATTENTION_NAMES):
                got, gradient = stack[name].grad.float(), data[f"{case}/sgrad{s}_{name}"]
                np.testing.assert_allclose(got, gradient, rtol=0, atol=5e-7, err_msg=f"{s} {name}")


def test_cells_that_do_not_count_cost_nothing() -> None:
    stack, targets = random_batch(2)
    nothing = torch.zeros_like(targets["tl_heat"], dtype=torch.uint8)
    losses = cornernet_loss([stack], targets | {"tl_valid": nothing, "br_valid": nothing})
    assert losses["focal"] == 0
    assert losses["offset"] > 0
    everything = {f"{corner}_valid": nothing + 1 for corner in ("tl", "br")}
    with_valid, without = (
        cornernet_loss([stack], targets | everything),
        cornernet_loss([stack], targets),
    )
    assert with_valid["focal"] == without["focal"]


def test_attention_is_counted_once_per_stack_and_divided_twice() -> None:
    stack, targets = random_batch(1)
    attention = {name: torch.zeros(1, 1, 2, 2) for name in ATTENTION_NAMES}
    valid = {f"{c}_valid": torch.ones_like(targets["tl_heat"]) for c in ("tl", "br")}
    targets = targets | valid | {n: torch.eye(2).view(1, 1, 2, 2) for n in ATTENTION_NAMES}
    one = saccade_loss([stack | attention], targets)
    two = saccade_loss([stack | attention] * 2, targets)
    assert two["attention"].item() == pytest.approx(2 * one["attention"].item())
    plain = cornernet_loss([stack | attention] * 2, targets)["total"]
    assert two["total"].item() == pytest.approx(plain.item() + two["attention"].item() / 4)


def test_attention_that_is_missing_is_named() -> None:
    stack, targets = random_batch(1)
    with pytest.raises(ValueError, match=r"stack 0 lacks \['att0', 'att1', 'att2'\]"):
        saccade_loss([stack], targets)
    attention = {name: torch.zeros(1, 1, 2, 2) for name in ATTENTION_NAMES}
    with pytest.raises(ValueError, match=r"targets lack \['tl_valid', 'br_valid', 'att0'"):
        saccade_loss([stack | attention], targets)


def test_a_batch_of_one_is_half_of_the_same_image_twice() -> None:
    stack, targets = random_batch(3)
    alone = cornernet_loss([stack], targets)
    twice = cornernet_loss(
        [{k: v.repeat(2, 1, 1, 1) for k, v in stack.items()}],
        {k: v.repeat(2, *[1] * (v.dim() - 1)) for k, v in targets.items()},
    )
    assert twice["pull"].item() == pytest.approx(2 * alone["pull"].item(), rel=1e-5)
    assert twice["push"].item() == pytest.approx(2 * alone["push"].item(), rel=1e-5)
    assert twice["focal"].item() == pytest.approx(alone["focal"].item(), rel=1e-5)
    assert twice["offset"].item() == pytest.approx(alone["offset"].item(), rel=1e-4)


def test_no_object_leaves_only_the_focal_loss() -> None:
    stack, targets = random_batch(0)
    stack = {name: values.requires_grad_() for name, values in stack.items()}
    losses = cornernet_loss([stack], targets)
    losses["total"].backward()
    assert losses["focal"] > 0
    assert losses["pull"] == losses["push"] == losses["offset"] == 0
    assert all(torch.isfinite(values.grad).all() for values in stack.values())
    assert not stack["tl_tag"].grad.any()


def test_bool_and_uint8_masks_agree() -> None:
    stack, targets = random_batch(3)
    with_bool = cornernet_loss([stack], {**targets, "mask": targets["mask"].bool()})
    with_uint8 = cornernet_loss([stack], targets)
    assert with_uint8["push"] > 0
    assert all(torch.equal(with_bool[name], with_uint8[name]) for name in with_bool)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_maps_are_compared_in_float32(dtype: torch.dtype) -> None:
    stack, targets = random_batch(3, dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = cornernet_loss([stack], targets)
    expected = cornernet_loss([{k: v.float() for k, v in stack.items()}], targets)
    for name, value in expected.items():
        assert got[name].dtype == torch.float32
        assert torch.equal(got[name], value), name


def test_weights_scale_their_parts_of_the_total() -> None:
    stack, targets = random_batch(3)
    losses = cornernet_loss([stack, stack], targets, LossWeights(pull=2.0, push=3.0, offset=4.0))
    expected = losses["focal"] + 2 * losses["pull"] + 3 * losses["push"] + 4 * losses["offset"]
    assert losses["total"].item() == pytest.approx(expected.item() / 2, rel=1e-6)


def test_modifies_nothing() -> None:
    stack, targets = random_batch(3)
    before = {name: values.clone() for name, values in (stack | targets).items()}
    cornernet_loss([stack], targets)
    assert all(torch.equal(before[name], values) for name, values in (stack | targets).items())


def test_refuses_no_stack() -> None:
    with pytest.raises(ValueError, match="got no stack"):
        cornernet_loss([], {})


def test_names_a_missing_map_and_a_missing_target() -> None:
    stack, targets = random_batch(1)
    with pytest.raises(ValueError, match=r"stack 1 lacks \['tl_tag'\]"):
        cornernet_loss([stack, {k: v for k, v in stack.items() if k != "tl_tag"}], targets)
    with pytest.raises(ValueError, match=r"targets lack \['mask'\]"):
        cornernet_loss([stack], {k: v for k, v in targets.items() if k != "mask"})
