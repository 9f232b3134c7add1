"""What tracing finds: normalisations behind convolutions, and additions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.blocks import Residual
from detectors.fire import Fire
from detectors.network_facts import NormPart, addition_name, find_facts
from detectors.registry import DETECTORS, build_detector


class ThreeAdditions(nn.Module):
    """Three additions of its own, and one in a child."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Residual(4, 4)
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.block(x)
        y += self.conv(y)
        return torch.add(y, x)


def test_additions_are_named_by_the_module_in_whose_forward_they_are():
    assert find_facts(ThreeAdditions()).additions == {"Add", "Add_1", "Add_2", "block/Add"}


def test_a_normalisation_belongs_to_the_convolution_before_it():
    norms = find_facts(ThreeAdditions()).norms
    assert norms == {
        "block.conv1": NormPart("block.bn1", 0, 4),
        "block.conv2": NormPart("block.bn2", 0, 4),
    }


def test_a_normalisation_behind_a_concatenation_belongs_to_all_that_is_joined():
    norms = find_facts(Fire(4, 8)).norms
    assert norms["conv_1x1"] == NormPart("bn2", 0, 4)
    assert norms["conv_3x3"] == NormPart("bn2", 4, 4)


def test_a_normalisation_of_anything_else_belongs_to_none():
    assert find_facts(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3))).norms == {}


def test_the_mode_of_the_network_stays():
    for training in (True, False):
        network = Residual(4, 4).train(training)
        find_facts(network)
        assert network.training is training and network.bn1.training is training


def test_every_detector_can_be_traced():
    for name in DETECTORS:
        with torch.device("meta"):
            facts = find_facts(build_detector(name, 3))
        # ResNet-18 is the smallest: eight residual blocks.
        assert len(facts.norms) >= 20 and len(facts.additions) >= 8


def test_names_count_from_the_second():
    assert [addition_name("a.b", 0), addition_name("a.b", 2)] == ["a.b/Add", "a.b/Add_2"]
    assert addition_name("", 1) == "Add_1"
