"""Decoding in ONNX: one custom node, its function body, and plain nodes in its place.

``DecodeMaps`` is exported as plain operators. ``outline_corner_decode`` moves these into the
function body of one ``cornerrt.CornerDecode`` node, which is what a TensorRT plugin replaces;
``inline_corner_decode`` writes the same nodes back. Nothing is computed anew either way: a graph
that was outlined and inlined is the one the exporter wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper

from export.functions import DOMAIN
from export.onnx_graph import (
    OPSET,
    GraphIndex,
    attribute,
    module_of,
    sort_nodes,
    tensor_types,
)
from export.tensorrt_options import DecodeForm
from runtime.contract import DETECTION_NAMES, MAP_NAMES, DecodeParams
from runtime.errors import ExportError

CORNER_DECODE = "CornerDecode"
# The attribute of DeployModule, and so the path in node names, of what decodes.
DECODE_MODULE = "decode"
# What the plugin's kernels are made for; from corner_decode_kernel.h.
MOST_PLUGIN_CORNERS = 512
LARGEST_PLUGIN_WINDOW = 7


def corner_decode_attributes(
    params: DecodeParams, scale_xy: tuple[float, float]
) -> dict[str, int | float | str]:
    """Return the attributes of a ``CornerDecode`` node: all that a TensorRT plugin reads.

    The function body holds the same values as constants.

    Args:
        params: How corners become boxes.
        scale_xy: Network pixels per heatmap cell, across and down.
    """
    attributes: dict[str, int | float | str] = {
        "top_k": params.top_k,
        "nms_kernel": params.nms_kernel,
        "ae_threshold": params.ae_threshold,
        "num_dets": params.num_dets,
        "pair_score": params.pair_score,
        "scale_x": scale_xy[0],
        "scale_y": scale_xy[1],
        "plugin_version": "1",
        "plugin_namespace": DOMAIN,
    }
    if params.drop_border:  # the plugin has no such field: see decodes_by_plugin
        attributes["drop_border"] = 1
    return attributes


def is_corner_decode(node: NodeProto) -> bool:
    """Say whether a node is ours."""
    return bool(node.domain == DOMAIN and node.op_type == CORNER_DECODE)


def outline_corner_decode(
    model: ModelProto, params: DecodeParams, size_hw: tuple[int, int]
) -> ModelProto:
    """Move the nodes of the decode module into the body of one ``CornerDecode`` node.

    Args:
        model: Its nodes are named by module, its decoder reads the six raw maps alone; changed in
            place.
        params: What the decoder was traced with.
        size_hw: Height and width of the frames, in pixels.

    Returns:
        The same model; its constants that only the decoder read are in the body.

    Raises:
        ExportError: If the decoder reads a tensor that it does not make and that is no raw map, or
            the maps have no fixed size.
    """
    graph = model.graph
    inner = [node for node in graph.node if module_of(node) == DECODE_MODULE]
    attributes = corner_decode_attributes(params, _scale_xy(model, size_hw))
    model.functions.append(_function(inner, GraphIndex.of(graph), list(attributes)))
    for node in inner:
        graph.node.remove(node)
    graph.node.append(
        helper.make_node(
            CORNER_DECODE,
            MAP_NAMES,
            DETECTION_NAMES,
            name=f"{DECODE_MODULE}/{CORNER_DECODE}",
            domain=DOMAIN,
            **attributes,
        )
    )
    _drop_stale_tensors(model, inner)
    if not any(entry.domain == DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return sort_nodes(model)


def inline_corner_decode(model: ModelProto) -> ModelProto:
    """Replace the ``CornerDecode`` node by the nodes of its body; left alone if there is none.

    For every runtime without our plugin but ONNX Runtime, which inlines by itself (and names the
    nodes in its own way): the parser of TensorRT-RTX cannot read MaxPool inside a function.

    Args:
        model: Changed in place.

    Returns:
        The same model, without the node and its body.

    Raises:
        ExportError: If the node is there, but its body is not.
    """
    graph = model.graph
    for call in [node for node in graph.node if is_corner_decode(node)]:
        body = _body(model)
        outer = dict(zip(body.input, call.input, strict=True))
        outer.update(zip(body.output, call.output, strict=True))
        _restore_constants(model, body)
        graph.node.extend(_renamed(node, outer) for node in body.node if node.op_type != "Constant")
        graph.node.remove(call)
    return sort_nodes(_drop_body(model))


def decodes_by_plugin(model: ModelProto, form: DecodeForm) -> bool:
    """Say whether the model's decoder should be the plugin's, provided that it is loaded.

    Raises:
        ExportError: If the user asks for the plugin, but it does not take the parameters.
    """
    calls = [node for node in model.graph.node if is_corner_decode(node)]
    if not calls or form is DecodeForm.GRAPH:
        return False
    top_k, window = (int(attribute(calls[0], name)) for name in ("top_k", "nms_kernel"))
    fits = top_k <= MOST_PLUGIN_CORNERS and window <= LARGEST_PLUGIN_WINDOW
    if not fits and form is DecodeForm.PLUGIN:
        raise ExportError(
            f"the decoder has top_k {top_k} and nms_kernel {window}; expected at most "
            f"{MOST_PLUGIN_CORNERS} and {LARGEST_PLUGIN_WINDOW} for the plugin; decode by graph"
        )
    drops_border = bool(attribute(calls[0], "drop_border", 0))
    if drops_border and form is DecodeForm.PLUGIN:
        raise ExportError(
            "the decoder drops boxes at the border; expected one that keeps them for the plugin; "
            "decode by graph"
        )
    return fits and not drops_border


def _drop_body(model: ModelProto) -> ModelProto:
    for function in [f for f in model.functions if _is_body(f)]:
        model.functions.remove(function)
    if not any(node.domain == DOMAIN for node in model.graph.node):
        for entry in [entry for entry in model.opset_import if entry.domain == DOMAIN]:
            model.opset_import.remove(entry)
    return model


def _is_body(function: FunctionProto) -> bool:
    return bool(function.domain == DOMAIN and function.name == CORNER_DECODE)


def _body(model: ModelProto) -> FunctionProto:
    for function in model.functions:
        if _is_body(function):
            return function
    raise ExportError(
        f"the model has a {CORNER_DECODE} node without its function body; expected a portable "
        "model; export it again: python -m export.export_onnx"
    )


def _scale_xy(model: ModelProto, size_hw: tuple[int, int]) -> tuple[float, float]:
    """Return the network pixels per heatmap cell, across and down."""
    cells_high, cells_wide = tensor_types(model)[MAP_NAMES[0]].shape[2:]
    if not isinstance(cells_high, int) or not isinstance(cells_wide, int):
        raise ExportError(
            f"map {MAP_NAMES[0]!r} has size {cells_high} x {cells_wide}; expected a fixed height "
            "and width; export at a fixed size"
        )
    return size_hw[1] / cells_wide, size_hw[0] / cells_high


def _function(inner: list[NodeProto], index: GraphIndex, attributes: list[str]) -> FunctionProto:
    """Return the nodes as a function of the six maps, its constants in front.

    Tensors that cross its border get another name inside: parsers of TensorRT warn of names that
    mean one tensor outside a function and another within.
    """
    inside = {name: f"{DECODE_MODULE}/{name}" for name in (*MAP_NAMES, *DETECTION_NAMES)}
    made = {name for node in inner for name in node.output}
    read = dict.fromkeys(name for node in inner for name in node.input if name not in made)
    if unknown := [n for n in read if n and n not in MAP_NAMES and n not in index.initializers]:
        raise ExportError(
            f"decoding reads tensor {unknown[0]!r}; expected the six raw maps and constants alone; "
            "check the detector"
        )
    constants = [
        helper.make_node("Constant", [], [name], value=index.initializers[name])
        for name in read
        if name in index.initializers
    ]
    return helper.make_function(
        DOMAIN,
        CORNER_DECODE,
        [inside[name] for name in MAP_NAMES],
        [inside[name] for name in DETECTION_NAMES],
        [*constants, *(_renamed(node, inside) for node in inner)],
        [helper.make_opsetid("", OPSET)],
        attributes=attributes,
    )


def _restore_constants(model: ModelProto, body: FunctionProto) -> None:
    """Add the constants of the body to the graph, but for those that other nodes share."""
    present = {tensor.name for tensor in model.graph.initializer}
    for node in body.node:
        if node.op_type == "Constant" and node.output[0] not in present:
            tensor = TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)


def _renamed(original: NodeProto, renamed: Mapping[str, str]) -> NodeProto:
    """Return a copy of a node that reads and writes tensors of other names."""
    node = NodeProto()
    node.CopyFrom(original)
    for names in (node.input, node.output):
        for i, name in enumerate(names):
            names[i] = renamed.get(name, name)
    return node


def _drop_stale_tensors(model: ModelProto, moved: Iterable[NodeProto]) -> None:
    """Remove type notes of tensors that moved away, and constants that nothing reads any more."""
    graph = model.graph
    made = {name for node in moved for name in node.output}
    read = {name for node in graph.node for name in node.input}
    read.update(value.name for value in graph.output)
    for value in [value for value in graph.value_info if value.name in made]:
        graph.value_info.remove(value)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
