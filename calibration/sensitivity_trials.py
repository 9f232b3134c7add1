"""Which convolution costs how much: each alone in INT8, and each alone back in float.

Ranges and weights are found once; every trial is the same model with other convolutions in INT8.
Nothing else differs: a tensor stays quantized as long as one of its readers is in INT8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from onnx import ModelProto, NodeProto

from calibration.measurement_store import MeasurementStore
from calibration.meters import Meter
from calibration.placement_rules import CONVOLUTIONS
from calibration.quantize import Quantizable, quantize_model
from calibration.quantize_rules import Placement, QuantizationPlan, label, plan_quantization
from export.onnx_graph import module_of

# Operators that join branches: the module that has one as its own is a block.
_JOINS = ("Add", "Concat")
# What detectors call the convolution inside a block of convolution and ReLU.
_INNER_CONVOLUTION = "conv"


@dataclass(frozen=True)
class Part:
    """A convolution in INT8, or a block of them.

    Attributes:
        name: The node's name in the ONNX graph, or the block's.
        module: Path in the detector, as ``named_modules()`` gives it.
        block: The block that it belongs to; a block's is its own.
        nodes: Names of its convolutions.
    """

    name: str
    module: str
    block: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """How sensitive a part is.

    Attributes:
        part: Node or block.
        only_int8: What is lost when only it is in INT8 and the rest in float.
        only_float: What is gained when only it returns to float and the rest stays in INT8.
    """

    part: Part
    only_int8: float
    only_float: float


@dataclass(frozen=True)
class Sensitivity:
    """The outcome.

    Attributes:
        meter: What was measured.
        int8_value: The figure with everything in INT8.
        nodes: Every convolution in INT8, in graph order.
        blocks: Every block with one, in graph order.
    """

    meter: Meter
    int8_value: float
    nodes: tuple[Row, ...]
    blocks: tuple[Row, ...]


def block_of(module: str, blocks: Iterable[str]) -> str:
    """Return the block that a convolution belongs to.

    Args:
        module: Path of the convolution in the detector.
        blocks: Paths of the modules that join branches.

    Returns:
        The innermost of ``blocks`` around it; outside of all, the sequence that it is a step of:
        ``heads.tl_heat`` of ``heads.tl_heat.0.conv``.
    """
    around = [path for path in blocks if path and module.startswith(f"{path}.")]
    if around:
        return max(around, key=len)
    steps = module.split(".")
    if len(steps) > 1 and steps[-1] == _INNER_CONVOLUTION:
        steps.pop()
    if len(steps) > 1 and steps[-1].isdigit():
        steps.pop()
    return ".".join(steps)


def parts_of(model: ModelProto, plan: QuantizationPlan) -> tuple[list[Part], list[Part]]:
    """Return every convolution in INT8, and every block with one, in graph order."""
    joins = {module_of(node) for node in model.graph.node if node.op_type in _JOINS}
    nodes = [
        _node_part(node, joins)
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS and node.output[0] in plan.convolutions
    ]
    members: dict[str, list[str]] = {}
    for part in nodes:
        members.setdefault(part.block, []).append(part.name)
    blocks = [Part(name, name, name, tuple(members[name])) for name in members]
    return nodes, blocks


def _node_part(node: NodeProto, joins: Iterable[str]) -> Part:
    name = label(node)
    module = module_of(node) or name
    return Part(name, module, block_of(module, joins), (name,))


class Trials:
    """Measures one model with different convolutions in INT8, each set once.

    Args:
        source: The float model with its ranges and weights.
        placement: Which convolutions may run in INT8 at all.
        meter: What to measure.
        store: Figures that are known already, and where new ones go.
    """

    def __init__(
        self,
        source: Quantizable,
        placement: Placement,
        meter: Meter,
        store: MeasurementStore | None = None,
    ) -> None:
        self.source, self.placement, self.meter = source, source.placed(placement), meter
        plan = plan_quantization(source.model, self.placement)
        self.nodes, self.blocks = parts_of(source.model, plan)
        self.everything = frozenset(part.name for part in self.nodes)
        self._store = MeasurementStore() if store is None else store

    def with_float(self, floats: Iterable[str]) -> Placement:
        """Return the placement with further convolutions in float."""
        return replace(self.placement, keep_float=self.placement.keep_float | frozenset(floats))

    def value(self, floats: Iterable[str] = ()) -> float:
        """Return the figure with some convolutions in float and the others in INT8.

        Raises:
            CalibrationError: If the model cannot be run.
        """
        chosen = frozenset(floats)
        if chosen >= self.everything:
            return self.meter.float_value
        known = self._store.get(chosen)
        if known is None:
            model, _ = quantize_model(self.source, self.with_float(chosen))
            known = self.meter.measure(model)
            self._store.put(chosen, known)
        return known

    def row(self, part: Part) -> Row:
        """Measure one part both ways."""
        alone = self.value(self.everything.difference(part.nodes))
        back = self.value(part.nodes)
        return Row(part, self.meter.float_value - alone, back - self.value())


def measure_sensitivity(
    trials: Trials, progress: Callable[[Sequence[Part]], Iterable[Part]] = lambda parts: parts
) -> Sensitivity:
    """Measure every convolution and every block.

    Args:
        trials: The model and what is measured of it.
        progress: Goes through the parts; a progress bar does so visibly.

    Raises:
        CalibrationError: If the model cannot be run.
    """
    rows = [trials.row(part) for part in progress([*trials.nodes, *trials.blocks])]
    count = len(trials.nodes)
    return Sensitivity(trials.meter, trials.value(), tuple(rows[:count]), tuple(rows[count:]))


def rank(rows: Iterable[Row]) -> list[Row]:
    """Return the most sensitive parts first: those whose return to float gains most."""
    return sorted(rows, key=lambda row: (-row.only_float, -row.only_int8))


def rank_by_gain(trials: Trials) -> list[str]:
    """Return the convolutions in INT8, those first whose return to float gains most.

    Measures each only once, in the surroundings that count: everything else in INT8.
    """
    gains = {part.name: trials.value(part.nodes) for part in trials.nodes}
    return sorted(gains, key=lambda name: -gains[name])
