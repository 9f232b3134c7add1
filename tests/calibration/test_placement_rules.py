"""Which nodes between convolutions read quantized tensors: every rule on both sides."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx import ModelProto

from calibration.insert_qdq import insert_qdq
from calibration.int8_region import Target
from calibration.placement_rules import NODE_RULES, keeps_grid
from calibration.placement_table import explain_plan
from calibration.quantize_rules import (
    Placement,
    QuantizationPlan,
    compile_exclude,
    plan_quantization,
)
from calibration.weights import DEFAULT_WEIGHTS, round_weights
from export.onnx_graph import GraphIndex
from export.surgery import keep_outputs
from plugins.reference import corner_pool
from tests.calibration.small_graphs import SIZE, SmallGraph
from tests.export.tiny_models import run

RTX = Target.TENSORRT_RTX


def plan(
    model: ModelProto, target: Target = Target.PORTABLE, exclude: str = ""
) -> QuantizationPlan:
    pattern = compile_exclude(exclude) if exclude else None
    return plan_quantization(model, Placement(pattern, target=target))


def rule(model: ModelProto, node: str, target: Target = Target.PORTABLE, exclude: str = "") -> str:
    decisions = plan(model, target, exclude).other_decisions
    return next(d.rule for d in decisions if d.node == node)


def between(kind: str, **more: str) -> ModelProto:
    """One pooling or upsampling between two INT8 convolutions."""
    graph = SmallGraph()
    graph.node("Relu", "r", graph.conv("a", "x"))
    getattr(graph, kind)("p", "r", **more)
    return graph.model(graph.conv("b", "p"))


@pytest.mark.parametrize("kind", ["max_pool", "corner_pool", "resize"])
def test_copies_and_maxima_share_the_scale_of_their_input(kind: str) -> None:
    found = plan(between(kind))
    assert rule(between(kind), "p") == "copies"
    assert found.grid_of == {"p": "r"}
    assert found.readers["r"] == {"p"} and found.readers["p"] == {"b"}
    assert found.observed().count("r") == 1 and "p" not in found.observed()
    assert "p" in found.observable()  # where a stays float, p has its own range


@pytest.mark.parametrize(
    ("exclude", "expected"), [("", "copies"), ("a", "outside"), ("b", "outside")]
)
def test_pooling_outside_the_region_stays_float(exclude: str, expected: str) -> None:
    graph = SmallGraph()
    graph.conv("first", "x")
    graph.max_pool("p", graph.conv("a", "x"))
    graph.conv("b", "p")
    model = graph.model(graph.node("Add", "s", "b", "first"))
    assert rule(model, "p", exclude=exclude and f"^{exclude}$") == expected


def test_interpolation_leaves_the_grid() -> None:
    found = plan(between("resize", mode="linear"))
    assert rule(between("resize", mode="linear"), "p") == "interpolation"
    assert found.grid_of == {} and "r" not in found.readers


def residual(projection: bool = False) -> ModelProto:
    """A residual block, with its input or a convolution of it on the skip path."""
    graph = SmallGraph()
    graph.node("Relu", "in", graph.conv("a", "x"))
    graph.conv("b", "in")
    skip = graph.conv("skip", "in") if projection else "in"
    graph.node("Relu", "out", graph.node("Add", "sum", "b", skip))
    return graph.model(graph.conv("c", "out"))


@pytest.mark.parametrize("target", list(Target))
def test_the_skip_path_reads_what_the_next_convolution_reads(target: Target) -> None:
    found = plan(residual(), target)
    assert rule(residual(), "sum", target) == "skip"
    assert found.readers["in"] == {"b", "sum"}
    assert "b" not in found.readers and found.float_branches == {"b"}


def test_the_skip_path_and_the_next_convolution_read_one_dequantize_node() -> None:
    model = residual()
    found = plan(model)
    insert_qdq(model, found, dict.fromkeys(found.observed(), 1.0))
    nodes = {node.name: node for node in model.graph.node}
    assert nodes["sum"].input[1] == nodes["b"].input[0] == "in/dequantized"
    assert nodes["sum"].input[0] == "b"  # raw: the addition fuses into the convolution


def test_of_two_convolutions_the_skip_path_is_quantized() -> None:
    found = plan(residual(projection=True))
    assert rule(residual(projection=True), "sum") == "projection"
    assert found.readers["skip"] == {"sum"} and found.float_branches == {"b"}


def test_tensorrt_rtx_adds_convolutions_as_floats() -> None:
    found = plan(residual(projection=True), RTX)
    assert rule(residual(projection=True), "sum", RTX) == "rtx-projection"
    assert "skip" not in found.readers and found.float_branches == {"b", "skip"}


def test_a_branch_that_another_convolution_reads_is_the_quantized_one() -> None:
    graph = SmallGraph()
    graph.conv("a", "x")
    graph.conv("b", "x")
    graph.node("Add", "sum", "a", "b")
    graph.concat("both", graph.conv("other", "a"), graph.conv("c", "sum"))
    model = graph.model(graph.conv("d", "both"))
    assert rule(model, "sum") == "skip"
    assert plan(model).readers["a"] == {"other", "sum"} and "b" not in plan(model).readers


def merge() -> ModelProto:
    """An hourglass's addition of a float branch and an upsampled one."""
    graph = SmallGraph()
    graph.node("Relu", "up", graph.conv("a", "x"))
    graph.node("Relu", "low", graph.conv("b", "x"))
    graph.node("Add", "sum", "up", graph.resize("twice", "low"))
    return graph.model(graph.conv("c", "sum"))


def test_an_addition_reads_a_copy_on_its_grid() -> None:
    found = plan(merge())
    assert rule(merge(), "sum") == "copied" and rule(merge(), "twice") == "copies"
    assert found.readers["low"] == {"twice"} and found.float_branches == {"up"}


def test_tensorrt_rtx_upsamples_floats_for_an_addition() -> None:
    assert rule(merge(), "twice", RTX) == "rtx-added"
    assert rule(merge(), "sum", RTX) == "float-branches"
    assert not {"low", "twice"}.intersection(plan(merge(), RTX).readers)
    assert rule(between("resize"), "p", RTX) == "copies"  # a convolution reads it
    assert rule(between("max_pool"), "p", RTX) == "copies"


def test_tensorrt_rtx_upsamples_integers_for_a_convolution() -> None:
    graph = SmallGraph()
    graph.node("Relu", "low", graph.conv("a", "x"))
    graph.resize("twice", "low")
    graph.node("Add", "sum", graph.conv("b", "x"), "twice")
    graph.node("Add", "end", graph.conv("c", "sum"), graph.conv("d", "twice"))
    model = graph.model(graph.conv("e", "end"))
    assert rule(model, "twice", RTX) == "copies"


def test_an_addition_behind_the_last_convolution_stays_float() -> None:
    graph = SmallGraph()
    graph.conv("a", "x")
    graph.conv("b", "a")
    model = graph.model(graph.node("Add", "sum", "b", "b"))
    assert rule(model, "sum") == "outside"


def fire(skip: bool = False) -> SmallGraph:
    """CornerNet-Squeeze's fire module; results ``in``, ``squeeze``, ``joined``, ``out``."""
    graph = SmallGraph()
    graph.node("Relu", "in", graph.conv("a", "x", 32))
    graph.conv("squeeze", "in")
    graph.conv("deep", "squeeze", group=16)
    graph.concat("joined", graph.conv("wide", "squeeze"), "deep")
    before = graph.node("Add", "sum", "joined", "in") if skip else "joined"
    graph.node("Relu", "out", before)
    return graph


def fire_model(skip: bool = False) -> ModelProto:
    graph = fire(skip)
    return graph.model(graph.conv("b", "out"))


def test_a_concatenation_takes_the_scale_behind_its_relu() -> None:
    found = plan(fire_model())
    assert rule(fire_model(), "joined") == "one-scale"
    assert {t: found.grid_of[t] for t in ("wide", "deep", "joined")} == {
        "wide": "out",
        "deep": "out",
        "joined": "out",
    }
    assert found.readers["wide"] == found.readers["deep"] == {"joined"}
    assert not {"wide", "deep", "joined"}.intersection(found.observed())


def test_rounding_before_the_relu_gives_the_integers_of_rounding_behind_it() -> None:
    x = np.random.default_rng(3).normal(size=(1, 16, SIZE, SIZE)).astype(np.float32)
    results = []
    for before in (True, False):
        model = keep_known(fire_model(), "b")
        found = plan(model)
        if not before:
            del found.readers["wide"], found.readers["deep"]
        insert_qdq(model, found, dict.fromkeys(found.observed(), 1.5))
        results.append(run(keep_outputs(model, ["b"]), x=x)[0])
    np.testing.assert_array_equal(*results)


def test_a_concatenation_on_a_skip_path_has_its_own_scale() -> None:
    found = plan(fire_model(skip=True))
    assert found.grid_of["wide"] == found.grid_of["deep"] == found.grid_of["joined"] == "joined"
    assert "joined" in found.observed()
    assert rule(fire_model(skip=True), "sum") == "skip"
    assert found.float_branches == set()


def test_tensorrt_rtx_joins_floats() -> None:
    found = plan(fire_model(skip=True), RTX)
    assert rule(fire_model(skip=True), "joined", RTX) == "rtx-joined"
    assert not {"wide", "deep"}.intersection(found.readers)
    assert "joined" in found.float_branches


def test_depthwise_convolutions_by_target() -> None:
    for target in Target:
        decisions = {d.node: d.rule for d in plan(fire_model(), target).decisions}
        allowed = target in (Target.ONNXRUNTIME, Target.TENSORRT)
        assert decisions["deep"] == ("int8" if allowed else "depthwise")
        assert decisions["wide"] == "int8"


def test_a_concatenation_of_float_convolutions_stays_float() -> None:
    assert rule(fire_model(), "joined", exclude="wide|deep") == "joined-floats"
    assert rule(fire_model(), "joined", exclude="wide") == "joined-floats"
    assert rule(fire_model(), "joined", exclude="deep") == "one-scale"


def test_a_concatenation_with_a_constant_stays_float() -> None:
    graph = SmallGraph()
    graph.constants["c"] = np.ones((1, 16, SIZE, SIZE), np.float32)
    graph.channels["c"] = 16
    graph.concat("joined", graph.conv("a", "x"), "c")
    model = graph.model(graph.conv("b", "joined"))
    assert rule(model, "joined") == "joined-constants"


def test_a_concatenation_outside_stays_float() -> None:
    graph = SmallGraph()
    graph.concat("joined", graph.conv("a", "x"), graph.conv("b", "x"))
    graph.concat("last", graph.conv("c", "joined"), "joined")
    model = graph.model("last")
    assert rule(model, "joined") == "one-scale"
    assert rule(model, "last") == "outside"


def test_two_concatenations_do_not_share_an_input() -> None:
    graph = SmallGraph()
    a, b, c = (graph.conv(name, "x") for name in "abc")
    graph.concat("one", a, b)
    graph.concat("two", b, c)
    graph.node("Add", "sum", graph.conv("d", "one", 32), graph.node("Relu", "positive", "two"))
    model = graph.model(graph.conv("f", "sum"))
    assert (rule(model, "one"), rule(model, "two")) == ("one-scale", "joined-scales")
    # A plan that has the first one in float needs the second's range.
    assert "two" in plan(model).observable()
    assert rule(model, "two", exclude="^[ab]$") == "one-scale"
    assert set(plan(model, exclude="^[ab]$").observed()) <= set(plan(model).observable())


def pooled_concatenation() -> SmallGraph:
    """Tensors of four different scales joined: two pooled ones, one read elsewhere, one plain."""
    graph = SmallGraph()
    for name in ("a", "b", "c", "d"):
        graph.conv(name, "x")
    graph.max_pool("pa", "a")
    graph.corner_pool("pb", "b")
    graph.conv("elsewhere", "c")
    graph.concat("joined", "pa", "pb", "c", "d")
    graph.node("Add", "sum", graph.conv("e", "joined"), "elsewhere")
    return graph


def test_everything_that_is_joined_has_one_scale() -> None:
    graph = pooled_concatenation()
    model = graph.model(graph.conv("f", "sum"))
    found = plan(model)
    members = {"a", "b", "c", "d", "pa", "pb", "joined"}
    assert {name for name, grid in found.grid_of.items() if grid == "joined"} == members
    insert_qdq(model, found, {"joined": 2.0, "x": 3.0, "elsewhere": 1.0, "e": 1.0, "sum": 1.0})
    index = GraphIndex.of(model.graph)
    makers = [index.producers[name] for name in index.producers["joined"].input]
    assert [maker.op_type for maker in makers] == ["DequantizeLinear"] * 4
    scales = [float(index.constant(maker.input[1])) for maker in makers]
    assert scales == [np.float32(2 / 127)] * 4


def fake(x: np.ndarray, threshold: float) -> np.ndarray:
    scale = np.float64(np.float32(threshold / 127))
    return np.clip(np.rint(x / scale), -128, 127) * scale


def test_the_joined_graph_computes_what_numpy_does() -> None:
    graph = pooled_concatenation()
    model = keep_known(graph.model(graph.conv("f", "sum")), "sum")
    thresholds = {"joined": 1.7, "x": 2.5, "elsewhere": 1.1, "e": 1.2, "sum": 3.0}
    x = np.random.default_rng(5).normal(size=(1, 16, SIZE, SIZE)).astype(np.float32)

    def conv(name: str, features: np.ndarray) -> np.ndarray:
        weights = round_weights(graph.constants[f"{name}.weight"], 0, DEFAULT_WEIGHTS)
        mixed = np.einsum("oi,bihw->bohw", weights.dequantized()[:, :, 0, 0], features)
        return mixed + graph.constants[f"{name}.bias"][:, None, None]

    first = fake(x, thresholds["x"])
    a, b, c, d = (fake(conv(name, first), thresholds["joined"]) for name in "abcd")
    padded = np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    pa = sliding_window_view(padded, (3, 3), (2, 3)).max(axis=(4, 5))
    joined = np.concatenate([pa, corner_pool(b, "top"), c, d], axis=1)
    elsewhere, e = conv("elsewhere", c), conv("e", joined)
    found = plan(model)
    assert found.readers["elsewhere"] == {"sum"}
    insert_qdq(model, found, thresholds)
    (result,) = run(keep_outputs(model, ["sum"]), x=x)
    errors = np.abs(result - e - fake(elsewhere, thresholds["elsewhere"]))
    # Where a value lies on the border of two steps, float sums in another order change the step.
    assert (errors > 1e-5).mean() < 0.01 and errors.max() < 0.02


def keep_known(model: ModelProto, name: str) -> ModelProto:
    """Note the type of a tensor, so that it can become an output."""
    value = model.graph.value_info.add()
    value.CopyFrom(model.graph.output[0])
    value.name = name
    return model


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize("make", [fire_model, residual, merge], ids=["fire", "residual", "merge"])
def test_a_plan_with_less_in_int8_needs_no_other_range(
    make: Callable[[], ModelProto], target: Target
) -> None:
    model = make()
    full = plan(model, target)
    for decision in full.decisions:
        fewer = plan(model, target, f"^{re.escape(decision.node)}$")
        assert set(fewer.observed()) <= set(full.observable())


def test_explain_has_a_line_per_node_and_counts_them() -> None:
    lines = explain_plan(plan(fire_model(skip=True))).splitlines()
    assert any(re.match(r"INT8   joined +one-scale: on one scale", line) for line in lines)
    assert any(re.match(r"float  deep +depthwise: ", line) for line in lines)
    assert any(re.match(r"INT8   sum +skip: ", line) for line in lines)
    assert any(re.match(r"float  2 x Relu +fused: ", line) for line in lines)
    assert lines[-1] == "INT8: 4 of 6 Conv, 1 of 1 Concat, 1 of 1 Add"


def test_rules_have_distinct_names_and_reasons() -> None:
    for rules in NODE_RULES.values():
        assert len({rule.name for rule in rules}) == len({r.reason for r in rules}) == len(rules)


def test_only_copies_keep_the_grid() -> None:
    model = between("max_pool")
    assert [n.name for n in model.graph.node if keeps_grid(n)] == ["p"]
