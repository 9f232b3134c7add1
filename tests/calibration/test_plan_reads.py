"""How operands are named, the same in a float model and in the INT8 one made from it."""

from __future__ import annotations

from onnx import helper

from calibration.plan_reads import PlannedRead, ReadKind, operands, planned_scales
from detectors.int8_plan import ConvolutionScales
from export.onnx_graph import GraphIndex
from tests.calibration.tiny_network import make_tiny_network
from tests.detectors.int8_plans import empty_plan
from tests.export.tiny_models import make_model


def names(model) -> dict[tuple[str, int], PlannedRead | None]:
    found = operands(model, GraphIndex.of(model.graph))
    return {(node.name, position): planned for node, position, planned in found}


def test_every_reader_has_a_name_that_torch_knows():
    found = names(make_tiny_network())
    assert found["head.0/Conv", 0] == PlannedRead(ReadKind.CONVOLUTION, "head.0")
    assert found["top/CornerPool", 0] == PlannedRead(ReadKind.MODULE, "top")
    assert found["lower/Resize", 0] == PlannedRead(ReadKind.MODULE, "lower")
    assert found["block.sum/Add", 1] == PlannedRead(ReadKind.ADDITION, "block.sum/Add", 1)
    assert found["block.sum/Relu", 0] is None


def test_weights_and_constants_are_no_operands():
    found = names(make_tiny_network())
    assert ("head.0/Conv", 1) not in found and ("normalise/Mul", 1) not in found


def test_a_concatenation_names_the_convolutions_before_it():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a/Conv"], name="a/Conv"),
        helper.make_node("QuantizeLinear", ["a/Conv", "s"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s"], ["d"], name="d"),
        helper.make_node("Relu", ["a/Conv"], ["b/Relu"], name="b/Relu"),
        helper.make_node("Concat", ["d", "a/Conv", "b/Relu"], ["y"], name="j/Concat", axis=1),
    ]
    model = make_model(nodes, {"x": (1, (1, 1, 2, 2))}, {"y": (1, (1, 3, 2, 2))}, {})
    found = names(model)
    joined = PlannedRead(ReadKind.JOINED, "a")
    assert [found["j/Concat", i] for i in range(3)] == [joined, joined, None]


def test_a_plan_has_a_scale_for_each_of_its_names():
    plan = empty_plan(
        convolutions={"a": ConvolutionScales(1.0, (9.0,))},
        modules={"b": 2.0},
        joined={"c": 3.0},
        additions={"d/Add": (None, 4.0), "d/Add_1": (5.0, 6.0)},
    )
    assert planned_scales(plan) == {
        PlannedRead(ReadKind.CONVOLUTION, "a"): 1.0,
        PlannedRead(ReadKind.MODULE, "b"): 2.0,
        PlannedRead(ReadKind.JOINED, "c"): 3.0,
        PlannedRead(ReadKind.ADDITION, "d/Add", 1): 4.0,
        PlannedRead(ReadKind.ADDITION, "d/Add_1", 0): 5.0,
        PlannedRead(ReadKind.ADDITION, "d/Add_1", 1): 6.0,
    }
