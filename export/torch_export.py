"""Trace a torch module into an ONNX graph with our custom nodes in it."""

from __future__ import annotations

import gc
import logging
import warnings
from typing import Any

import numpy as np
import onnxscript
import torch
from onnx import ModelProto, defs, numpy_helper

from detectors.deformable_conv import DeformableConv
from export.decode_function import DECODE_MODULE, outline_corner_decode
from export.functions import (
    CORNER_POOL,
    DOMAIN,
    attach_corner_pool,
    corner_pool_attributes,
)
from export.onnx_graph import OPSET, GraphIndex, module_of
from export.surgery import finish
from export.wrapper import BATCH, DeployModule
from runtime.contract import INPUT_NAME, DecodeParams
from runtime.errors import ExportError

# The wrapper's attribute that holds the detector: its modules lose this prefix in node names.
_PREFIX = "detector."


def export_module(module: DeployModule, size_hw: tuple[int, int]) -> ModelProto:
    """Write a detector as a tidy ONNX model with a dynamic batch.

    Args:
        module: In evaluation mode.
        size_hw: Height and width of the frames, in pixels.

    Returns:
        A model with named nodes, folded normalisation and the function bodies of ``CornerPool`` and
        ``CornerDecode``, where it pools and pairs corners. Its outputs are the detections, the raw
        maps, and attention maps where the detector has some; ``keep_outputs`` chooses among them.

    Raises:
        ExportError: If torch cannot trace or translate the module, or it holds deformable
            convolutions.
    """
    _refuse_deformable(module)
    model = _translate(module, size_hw)
    gc.collect()  # torch's program is full of reference cycles
    finish(attach_corner_pool(model), _PREFIX)
    params = module.decode.params
    if not isinstance(params, DecodeParams):
        return _free_flattening(model)  # no plugin decodes it: plain nodes serve everywhere
    return outline_corner_decode(model, params, size_hw)


def _free_flattening(model: ModelProto) -> ModelProto:
    """Let the decoder's flattened maps follow from their inputs' sizes.

    The exporter writes the number of cells into them: nobody could tell the graph's sizes at
    another input, as ``export.roofline`` does.
    """
    index = GraphIndex.of(model.graph)
    for node in model.graph.node:
        if module_of(node) != DECODE_MODULE or node.op_type != "Reshape":
            continue
        shape = index.initializers[node.input[1]]
        batch, *channels, _ = numpy_helper.to_array(shape).tolist()
        if batch in (-1, 0) and -1 not in channels:
            size = np.array([0, *channels, -1], np.int64)  # 0: as many as the input has
            shape.CopyFrom(numpy_helper.from_array(size, shape.name))
            del node.attribute[:]  # allowzero, with which 0 would mean none
    return model


def _refuse_deformable(module: DeployModule) -> None:
    for name, part in module.detector.named_modules():
        if isinstance(part, DeformableConv):
            raise ExportError(
                f"{name} is a deformable convolution, which cannot be exported; expected plain "
                "convolutions; choose a model without, such as centernet-resnet18"
            )


def _translate(module: DeployModule, size_hw: tuple[int, int]) -> ModelProto:
    """Return the module as torch's exporter writes it."""
    # Tracing with a batch of one would fix it: torch treats sizes 0 and 1 as constants.
    frames = torch.zeros(2, *size_hw, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # torchvision is not needed
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (frames,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=list(module.output_names),
                dynamic_shapes=({0: torch.export.Dim(BATCH)},),
                custom_translation_table={
                    torch.ops.cornerrt.corner_pool.default: _translate_corner_pool
                },
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ExportError(
            f"torch cannot trace the model at {size_hw[0]}x{size_hw[1]} ({reason}); expected "
            "shapes and branches that do not depend on pixel values"
        ) from error
    assert program is not None
    model: ModelProto = program.model_proto
    # onnxscript's rewriting rules are global and remember the graph they saw last: its weights, a
    # second copy of the module's with normalisation folded in, would stay until the next export.
    for value in program.model.graph.initializers.values():
        value.const_value = None
    return model


def _corner_pool_op() -> Any:
    """Return the node as an onnxscript operator; the translation table takes no other kind."""
    kinds = {str: "STRING", int: "INT", list: "INTS"}
    attributes = [
        defs.OpSchema.Attribute(name, getattr(defs.OpSchema.AttrType, kinds[type(value)]))
        for name, value in corner_pool_attributes("top").items()
    ]
    schema = defs.OpSchema(
        CORNER_POOL,
        DOMAIN,
        1,
        inputs=[defs.OpSchema.FormalParameter("x", "T")],
        outputs=[defs.OpSchema.FormalParameter("y", "T")],
        type_constraints=[("T", ["tensor(float)", "tensor(float16)"], "")],
        attributes=attributes,
    )
    return onnxscript.values.Op(onnxscript.values.Opset(DOMAIN, 1), CORNER_POOL, schema)


_CORNER_POOL_OP = _corner_pool_op()


def _translate_corner_pool(x: Any, direction: str) -> Any:
    """Translate ``cornerrt::corner_pool(x, direction)``."""
    return _CORNER_POOL_OP(x, **corner_pool_attributes(direction))
