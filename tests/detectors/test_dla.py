"""Tests of detectors/dla.py; the published networks are compared in test_centernet.py."""

from __future__ import annotations

import torch

from detectors.dla import CHANNELS, Block, Dla34, DoubleTree, Tree


def test_maps_of_four_strides() -> None:
    maps = Dla34().eval()(torch.randn(1, 3, 64, 96))
    strides = (4, 8, 16, 32)
    shapes = [(1, c, 64 // s, 96 // s) for c, s in zip(CHANNELS[2:], strides, strict=True)]
    assert [m.shape for m in maps] == shapes


def test_a_block_adds_the_map_that_is_given() -> None:
    block = Block(3, 5, stride=2).eval()
    x, given = torch.randn(1, 3, 4, 4), torch.full((1, 5, 2, 2), 100.0)
    without = block.bn2(block.conv2(block.relu1(block.bn1(block.conv1(x)))))
    torch.testing.assert_close(block(x, given), (without + given).relu())


def test_the_root_sees_both_blocks_what_is_inherited_and_the_input_on_request() -> None:
    plain = Tree(4, 4)
    assert plain.root.conv.in_channels == 8
    assert Tree(4, 4, inherited_channels=6).root.conv.in_channels == 14
    seeing = Tree(4, 8, stride=2, root_sees_input=True)
    assert seeing.root.conv.in_channels == 20
    seen = {}
    seeing.root.register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
    x = torch.randn(1, 4, 6, 6)
    assert seeing.eval()(x).shape == (1, 8, 3, 3)
    assert torch.equal(seen["x"][:, 16:], torch.nn.functional.max_pool2d(x, 2))


def test_the_second_tree_inherits_the_input_and_the_first_tree() -> None:
    tree = DoubleTree(4, 8).eval()
    seen = {}
    tree.tree1.register_forward_hook(lambda *a: seen.update(first=a[2]))
    tree.tree2.root.register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
    x = torch.randn(1, 4, 6, 6)
    assert tree(x).shape == (1, 8, 3, 3)
    assert torch.equal(seen["x"][:, 16:20], torch.nn.functional.max_pool2d(x, 2))
    assert torch.equal(seen["x"][:, 20:], seen["first"])


def test_only_trees_that_change_channels_project() -> None:
    assert not list(Tree(4, 4).project.parameters())
    assert next(iter(Tree(4, 8).project.state_dict())) == "0.weight"
