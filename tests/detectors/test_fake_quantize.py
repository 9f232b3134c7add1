"""A network that rounds: the same weights under the same names, and a plan that must fit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from detectors.fake_quantize import check_weights, fake_quantize
from detectors.fire import Fire
from detectors.int8_plan import ConvolutionScales
from runtime.errors import CalibrationError
from tests.detectors.int8_plans import empty_plan, first_nano, nano_plan

IMAGES = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(name="nano")
def nano_fixture() -> nn.Module:
    return first_nano()


def test_weights_keep_their_names_values_and_identity(nano):
    before = nano.state_dict()
    parameters = dict(nano.named_parameters())
    fake_quantize(nano, nano_plan())
    after = nano.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(parameters[name] is value for name, value in nano.named_parameters())


def test_it_rounds_in_evaluation_and_in_training_alike(nano):
    plain = copy.deepcopy(nano).eval()
    fake_quantize(nano, nano_plan())
    with torch.no_grad():
        expected = plain(IMAGES)["tl_heat"]
        got = nano.eval()(IMAGES)["tl_heat"]
        trained = nano.train()(IMAGES)[0]["tl_heat"]
    assert torch.equal(got, trained)
    difference = (got - expected).abs().max()
    assert 0 < difference < 0.2 * expected.std() + 0.2


@pytest.mark.parametrize("part", ["convolutions", "modules", "additions"])
def test_each_part_of_a_plan_is_rounded(nano, part):
    plain = copy.deepcopy(nano).eval()
    entries = getattr(nano_plan(), part)
    for name, scale in entries.items():
        rounded = copy.deepcopy(plain)
        fake_quantize(rounded, empty_plan(**{part: {name: scale}}))
        with torch.no_grad():
            assert not torch.equal(rounded(IMAGES)["tl_heat"], plain(IMAGES)["tl_heat"]), name


def test_a_plan_that_rounds_nothing_changes_nothing_but_freezes_statistics(nano):
    plain = copy.deepcopy(nano).eval()
    fake_quantize(nano, empty_plan()).train()
    with torch.no_grad():
        assert torch.equal(nano(IMAGES)[0]["tl_off"], plain(IMAGES)["tl_off"])
    assert torch.equal(nano.stem[0].bn.running_mean, plain.stem[0].bn.running_mean)


def test_a_copy_has_grids_of_its_own(nano):
    fake_quantize(nano, nano_plan())
    twin = copy.deepcopy(nano).eval()
    with torch.no_grad():
        before = twin(IMAGES)["br_heat"].clone()
        for values in nano.parameters():
            values.zero_()
        assert torch.equal(twin(IMAGES)["br_heat"], before)


def test_every_parameter_that_the_loss_reaches_learns(nano):
    fake_quantize(nano, nano_plan()).train()
    sum(value.square().mean() for value in nano(IMAGES)[0].values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in nano.parameters())


def test_what_is_joined_is_rounded_behind_its_normalisation():
    torch.manual_seed(0)
    fire = Fire(4, 8).eval()
    x = torch.randn(1, 4, 5, 5)
    normalised = []
    fire.bn2.register_forward_hook(lambda module, inputs, output: normalised.append(output))
    with torch.no_grad():
        fire(x)
        expected = normalised[0].clone()
        expected[:, 4:] = torch.fake_quantize_per_tensor_affine(expected[:, 4:], 0.5, 0, -128, 127)
        fake_quantize(fire, empty_plan(joined={"conv_3x3": 0.5}))
        assert torch.equal(fire(x), expected.relu())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"convolutions": {"x.conv": ConvolutionScales(1, (1,))}}, "1 convolutions .* 'x.conv'"),
        ({"convolutions": {"stem.0.bn": ConvolutionScales(1, (1,))}}, "'stem.0.bn'"),
        ({"modules": {"pool9": 1.0}}, "'pool9'"),
        ({"joined": {"heads.tl_tag.1": 1.0}}, "'heads.tl_tag.1'"),
        ({"additions": {"hourglass/Add_7": (1.0, None)}}, "'hourglass/Add_7'"),
        (
            {"convolutions": {"stem.0.conv": ConvolutionScales(1, (1, 2))}},
            "2 scales for stem.0.conv; expected 1 or 24",
        ),
    ],
)
def test_a_plan_of_another_network_is_refused_by_name(nano, changes, message):
    with pytest.raises(CalibrationError, match=message):
        fake_quantize(nano, empty_plan(**changes))


def test_weights_that_do_not_fit_the_grids_are_refused(nano):
    fake_quantize(nano, nano_plan())
    check_weights(nano)
    with torch.no_grad():
        nano.stem[1].conv.weight.mul_(10)
    with pytest.raises(CalibrationError, match=r"weights of stem.1.conv lose \d\d%"):
        check_weights(nano)
