"""Which module a layer's time counts for."""

from __future__ import annotations

import pytest

from runtime.layers import LayerProfile, LayerTime, common_module, module_of
from tests.runtime.layer_profiles import layer


def layer_of(*nodes: str) -> LayerTime:
    return LayerTime("fused", "Conv", nodes, "fp32", (1.0,))


@pytest.mark.parametrize(
    ("node", "module"),
    [
        ("hourglass.up1.0.conv1/Conv", "hourglass.up1.0.conv1"),
        ("stem.0.relu/Relu/QuantizeLinear", "stem.0.relu"),
        ("decode/Slice_1/GatherSliceToSplitFusion", "decode"),
        ("Transpose_12", "(none)"),
        ("", "(none)"),
    ],
)
def test_the_module_of_a_node_is_what_stands_before_the_first_slash(node: str, module: str) -> None:
    assert module_of(node) == module


@pytest.mark.parametrize(
    ("modules", "common"),
    [
        (["a.b.c"], "a.b.c"),
        (["a.b.c", "a.b.d", "a.b"], "a.b"),
        (["hourglass.up1", "hourglass.up10"], "hourglass"),
        (["stem.0", "decode"], "(several)"),
    ],
)
def test_modules_have_in_common_whole_parts_of_their_names(modules: list[str], common: str) -> None:
    assert common_module(modules) == common


@pytest.mark.parametrize(
    ("nodes", "module"),
    [
        (("a.conv2/Conv", "a/Add", "a.relu/Relu"), "a.conv2"),
        (("heads.tl_heat.1/Conv_3", "decode/Sigmoid"), "heads.tl_heat.1"),
        (("a.weight/QuantizeLinear", "b.conv/ConvTranspose"), "b.conv"),
        (("heads.a.0/Conv", "heads.b.0/Conv"), "heads"),
        (("a/Convert", "b/Relu"), "(several)"),
        (("decode/Mul", "decode/Add"), "decode"),
        ((), "(none)"),
    ],
)
def test_time_counts_for_the_module_of_the_node_that_does_the_work(
    nodes: tuple[str, ...], module: str
) -> None:
    assert layer_of(*nodes).module == module


def test_modules_are_named_once_and_in_order() -> None:
    assert layer_of("b/Add", "a/Mul", "b/Relu").modules == ("b", "a")
    assert layer_of().modules == ("(none)",)


def test_a_slow_run_does_not_move_the_median() -> None:
    slow = LayerTime("x", "Conv", (), "", (1.0, 2.0, 90.0))
    assert slow.median_ms == 2.0
    assert LayerProfile("x", (slow, layer("y", 0.5)), (91.0,)).layers_ms == 2.5
