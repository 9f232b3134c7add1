"""Corner pooling in ONNX: the custom node, its function body, and plain nodes in its place.

A model carries ``cornerrt.CornerPool`` nodes and one model-local function that says what they
mean in standard operators, so that ONNX Runtime runs the file as it is. TensorRT takes our plugin
for the node. Where no plugin is built, ``inline_corner_pool`` writes plain nodes instead, since
the function's Scan crashes the compiler of TensorRT-RTX.

All forms only ever take maxima of inputs: they equal ``plugins.reference`` bit for bit. (One
exception, which no activation reaches: a runtime may start MaxPool from the lowest finite number,
and a window of minus infinity alone comes out as that.)
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto, helper

from export.onnx_graph import OPSET, add_initializer, sort_nodes, tensor_types
from plugins.reference import WALKS, Walk
from runtime.errors import ExportError

DOMAIN = "cornerrt"
CORNER_POOL = "CornerPool"


class CornerPoolForm(enum.Enum):
    """Which plain nodes replace a ``CornerPool`` node.

    Attributes:
        MAX_POOL: One MaxPool whose window reaches from the cell to the border. TensorRT-RTX runs
            it as one kernel without changing the layout; ONNX Runtime is slow at it.
        LOG_STEP: Maxima over 2, 4, 8 ... cells: Slice, Pad and Max per doubling.
    """

    MAX_POOL = "max_pool"
    LOG_STEP = "log_step"


def corner_pool_attributes(direction: str) -> dict[str, str | int | list[int]]:
    """Return the attributes of a ``CornerPool`` node.

    ``direction`` and the two ``plugin_`` entries are what a TensorRT plugin reads; the others
    steer the function body, which cannot compare strings.

    Args:
        direction: "top", "bottom", "left" or "right".

    Raises:
        ExportError: If the direction is another one.
    """
    if direction not in WALKS:
        raise ExportError(
            f"corner pooling got direction {direction!r}; expected one of {', '.join(WALKS)}; "
            "check the detector"
        )
    walk = WALKS[direction]
    return {
        "direction": direction,
        "plugin_version": "1",
        "plugin_namespace": DOMAIN,
        "axis": walk.axis,
        "first": -1 if walk.from_end else 0,
        "scan_axes": [walk.axis],
        "scan_directions": [int(walk.from_end)],
    }


def make_corner_pool(source: str, result: str, direction: str) -> NodeProto:
    """Return a ``CornerPool`` node from tensor ``source`` to tensor ``result``."""
    return helper.make_node(
        CORNER_POOL, [source], [result], domain=DOMAIN, **corner_pool_attributes(direction)
    )


def corner_pool_function() -> FunctionProto:
    """Return the function body that serves all four directions.

    A Scan carries the running maximum along the axis. It starts from the first line of the walk
    instead of minus infinity, so the body is the same for float, half and int8.
    """
    first = helper.make_node("Constant", [], ["corner_pool_first"])
    _refer(first, {"value_int": "first"}, AttributeProto.INT)
    start = helper.make_node("Gather", ["corner_pool_x", "corner_pool_first"], ["corner_pool_0"])
    _refer(start, {"axis": "axis"}, AttributeProto.INT)
    scan = helper.make_node(
        "Scan",
        ["corner_pool_0", "corner_pool_x"],
        ["corner_pool_last", "corner_pool_y"],
        body=_scan_body(),
        num_scan_inputs=1,
    )
    axes = {"scan_input_axes": "scan_axes", "scan_output_axes": "scan_axes"}
    ways = {"scan_input_directions": "scan_directions", "scan_output_directions": "scan_directions"}
    _refer(scan, axes | ways, AttributeProto.INTS)
    return helper.make_function(
        DOMAIN,
        CORNER_POOL,
        ["corner_pool_x"],
        ["corner_pool_y"],
        [first, start, scan],
        [helper.make_opsetid("", OPSET)],
        attributes=list(corner_pool_attributes("top")),
    )


def attach_corner_pool(model: ModelProto) -> ModelProto:
    """Add the function body and its domain to a model that has ``CornerPool`` nodes.

    Args:
        model: Changed in place; left alone if it has no such node or already has the body.

    Returns:
        The same model.
    """
    if not any(is_corner_pool(node) for node in model.graph.node):
        return model
    if not any(function.name == CORNER_POOL for function in model.functions):
        model.functions.append(corner_pool_function())
    if not any(entry.domain == DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model


def is_corner_pool(node: NodeProto) -> bool:
    """Say whether a node is ours."""
    return bool(node.domain == DOMAIN and node.op_type == CORNER_POOL)


def inline_corner_pool(model: ModelProto, form: CornerPoolForm) -> ModelProto:
    """Replace every ``CornerPool`` node by plain nodes and drop the function body.

    Args:
        model: Changed in place.
        form: The plain nodes to write.

    Returns:
        The same model, free of the custom domain.

    Raises:
        ExportError: If a feature map's height or width is not known before running.
    """
    nodes = [node for node in model.graph.node if is_corner_pool(node)]
    types = tensor_types(model) if nodes else {}
    for node in nodes:
        walk = WALKS[_direction(node)]
        length = types[node.input[0]].shape[walk.axis] if node.input[0] in types else None
        if not isinstance(length, int):
            raise ExportError(
                f"corner pooling {node.name!r} has size {length!r} along its axis; expected a "
                "fixed height and width; export at a fixed size, or build the plugin: make plugins"
            )
        write = _max_pool if form is CornerPoolForm.MAX_POOL else _log_step
        model.graph.node.extend(write(model, node, walk, length))
        model.graph.node.remove(node)
    _drop_domain(model)
    return sort_nodes(model)


def _refer(node: NodeProto, names: Mapping[str, str], kind: int) -> None:
    """Let attributes of a node in a function take the values of the caller's attributes."""
    for name, outer in names.items():
        node.attribute.add(name=name, ref_attr_name=outer, type=kind)


def _scan_body() -> onnx.GraphProto:
    """Return one step of the walk; its tensors have no type, so any element type fits."""
    running, line, longer, result = (
        onnx.ValueInfoProto(name=f"corner_pool_{name}")
        for name in ("running", "line", "longer", "result")
    )
    nodes = [
        helper.make_node("Max", [running.name, line.name], [longer.name]),
        # One tensor cannot be both the state and the line that is written.
        helper.make_node("Identity", [longer.name], [result.name]),
    ]
    return helper.make_graph(nodes, "corner_pool_step", [running, line], [longer, result])


def _direction(node: NodeProto) -> str:
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    direction: bytes = values.get("direction", b"")
    return str(corner_pool_attributes(direction.decode())["direction"])


def _max_pool(model: ModelProto, node: NodeProto, walk: Walk, length: int) -> Iterable[NodeProto]:
    """Return one MaxPool with a window as long as the axis, padded on the side walked from."""
    kernel, pads = [1, 1], [0, 0, 0, 0]
    kernel[walk.axis - 2] = length
    pads[walk.axis - 2 + (2 if walk.from_end else 0)] = length - 1
    yield helper.make_node(
        "MaxPool",
        list(node.input),
        list(node.output),
        name=node.name,
        kernel_shape=kernel,
        pads=pads,
        strides=[1, 1],
    )


def _log_step(model: ModelProto, node: NodeProto, walk: Walk, length: int) -> Iterable[NodeProto]:
    """Yield maxima over windows that double until they reach the border.

    Shifted maps are padded with their border line, which every window that reaches so far
    contains anyway: no minus infinity is needed, and the form serves int8 too.
    """
    current, step = node.input[0], 1
    while step < length:
        prefix = f"{node.name or node.output[0]}/step{step}"
        bounds = (step, length) if walk.from_end else (0, length - step)
        pads = np.zeros(8, np.int64)
        pads[walk.axis + (4 if walk.from_end else 0)] = step
        operands = {"start": [bounds[0]], "end": [bounds[1]], "axis": [walk.axis], "pads": pads}
        names = {
            name: add_initializer(model, f"{prefix}/{name}", np.asarray(value, np.int64))
            for name, value in operands.items()
        }
        cut, shifted = f"{prefix}/Slice", f"{prefix}/Pad"
        longer = node.output[0] if 2 * step >= length else f"{prefix}/Max"
        window = [current, names["start"], names["end"], names["axis"]]
        yield helper.make_node("Slice", window, [cut], name=cut)
        yield helper.make_node("Pad", [cut, names["pads"]], [shifted], name=shifted, mode="edge")
        yield helper.make_node("Max", [current, shifted], [longer], name=f"{prefix}/Max")
        current, step = longer, 2 * step
    if length == 1:
        yield helper.make_node("Identity", [current], [node.output[0]], name=node.name)


def _drop_domain(model: ModelProto) -> None:
    """Remove the function body and the custom domain's opset entry."""
    for function in [f for f in model.functions if f.domain == DOMAIN and f.name == CORNER_POOL]:
        model.functions.remove(function)
    if not any(node.domain == DOMAIN for node in model.graph.node):
        for entry in [entry for entry in model.opset_import if entry.domain == DOMAIN]:
            model.opset_import.remove(entry)
