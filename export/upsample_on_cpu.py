"""Write transposed convolutions as convolutions, which ONNX Runtime runs faster on processors.

ONNX Runtime's ConvTranspose multiplies matrices and then scatters the sums, the latter on one core.
With kernel 4, stride 2 and padding 1, the one in CornerNet-Squeeze, every output pixel is the sum
of 2x2 inputs, with other weights for even and odd rows and columns: four small convolutions, whose
results are woven together. The products are the same, added in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from export.onnx_graph import GraphIndex, add_initializer, sort_nodes

# The one form that is rewritten.
KERNEL, STRIDE, PADDING = 4, 2, 1
# Taps of the kernel that reach even and odd outputs, in the order of the inputs they multiply, and
# the padding before and after that lets the first output see them.
TAPS = ((3, 1), (2, 0))
PADS = ((1, 0), (0, 1))


def split_transposed_convolutions(model: ModelProto) -> ModelProto:
    """Replace every 4x4 transposed convolution of stride 2 by four convolutions of 2x2.

    Args:
        model: Changed in place; other transposed convolutions are left alone.

    Returns:
        The same model.
    """
    index = GraphIndex.of(model.graph)
    for node in [n for n in model.graph.node if _can_split(n, index)]:
        model.graph.node.extend(_parts(model, node, index))
        model.graph.node.remove(node)
        if len(index.consumers[node.input[1]]) == 1:
            model.graph.initializer.remove(index.initializers[node.input[1]])
    return sort_nodes(model)


def _can_split(node: NodeProto, index: GraphIndex) -> bool:
    if node.op_type != "ConvTranspose" or node.input[1] not in index.initializers:
        return False
    given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    wanted = {
        "strides": [STRIDE] * 2,
        "pads": [PADDING] * 4,
        "dilations": [1, 1],
        "output_padding": [0, 0],
        "group": 1,
        "auto_pad": b"NOTSET",
        "kernel_shape": [KERNEL] * 2,
    }
    defaults = {key: wanted[key] for key in wanted if key not in ("strides", "pads")}
    weight = index.initializers[node.input[1]]
    return list(weight.dims[2:]) == [KERNEL] * 2 and {**defaults, **given} == wanted


def _parts(model: ModelProto, node: NodeProto, index: GraphIndex) -> Iterator[NodeProto]:
    """Yield a convolution per parity of row and column, and the nodes that weave their results."""
    prefix = node.name or node.output[0]
    # (in, out, 4, 4) in a transposed convolution, (out, in, 2, 2) in a convolution.
    weight = numpy_helper.to_array(index.initializers[node.input[1]]).swapaxes(0, 1)
    parts = []
    for row, column in product(range(2), range(2)):
        name = f"{prefix}/{row}{column}"
        taps = weight[:, :, TAPS[row], :][:, :, :, TAPS[column]]
        kernel = add_initializer(model, f"{name}/weight", np.ascontiguousarray(taps))
        (top, bottom), (left, right) = PADS[row], PADS[column]
        pads = [top, left, bottom, right]
        inputs = [node.input[0], kernel, *node.input[2:]]
        yield helper.make_node("Conv", inputs, [name], name, kernel_shape=[2, 2], pads=pads)
        parts.append(name)
    yield helper.make_node("Concat", parts, [f"{prefix}/parts"], f"{prefix}/parts", axis=1)
    yield helper.make_node(
        "DepthToSpace", [f"{prefix}/parts"], list(node.output), f"{prefix}/weave", blocksize=2
    )
