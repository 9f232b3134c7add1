"""One CornerPool node between two convolutions, built by the real TensorRT-RTX."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.functions import DOMAIN, make_corner_pool

CHANNELS = 32
SHAPE = (1, CHANNELS, 16, 16)
ELEMENTS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "int8": TensorProto.FLOAT}


def make_model(precision: str, direction: str, shape: tuple[int, ...] = SHAPE) -> ModelProto:
    """Return Conv -> CornerPool -> Conv; INT8 has Q before and DQ after the pooling.

    Args:
        precision: "fp32", "fp16" or "int8".
        direction: Goes into the node as it is, right or wrong.
        shape: Of the input; the convolutions are left out unless it is 4-D.
    """
    element = ELEMENTS[precision]
    dtype = helper.tensor_dtype_to_np_dtype(element)
    weights = np.random.default_rng(0).normal(0, 0.1, (CHANNELS, CHANNELS, 3, 3)).astype(dtype)
    initializers = {"w": weights, "scale": np.float32(0.05), "zero": np.int8(0)}
    weight = "w"
    nodes: list[NodeProto] = []

    def add(kind: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def to_int8(name: str) -> str:
        return add("QuantizeLinear", name, "scale", "zero") if precision == "int8" else name

    def from_int8(name: str) -> str:
        return add("DequantizeLinear", name, "scale", "zero") if precision == "int8" else name

    def convolve(name: str) -> str:
        return add("Conv", name, weight, pads=[1] * 4) if len(shape) == 4 else name

    weight = from_int8(to_int8(weight))
    pool_input = to_int8(convolve(from_int8(to_int8("x"))))
    pool = make_corner_pool(pool_input, "pooled", "top")
    next(a for a in pool.attribute if a.name == "direction").s = direction.encode()
    nodes.append(pool)
    add("Identity", convolve(from_int8("pooled")))
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes,
        "one_pool",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info("y", element, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in initializers.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


class Builder:
    """The real parser and builder of TensorRT-RTX.

    Args:
        api: The module.

    Attributes:
        errors: What TensorRT and our plugin logged as errors.
    """

    def __init__(self, api: Any) -> None:
        self._api = api
        self.errors: list[str] = []
        self.logger = _collecting_logger(api, self.errors)

    def build(self, model: ModelProto) -> bytes | None:
        """Return the engine for one GPU; None after an error."""
        api = self._api
        builder = api.Builder(self.logger)
        flag = 1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(flag)
        self.errors.clear()  # without a driver, creating them logs one
        if not api.OnnxParser(network, self.logger).parse(model.SerializeToString()):
            return None
        config = builder.create_builder_config()
        config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
        config.num_compute_capabilities = 1
        config.set_compute_capability(api.ComputeCapability.SM86, 0)
        engine = builder.build_serialized_network(network, config)
        return None if engine is None else bytes(engine)


def _collecting_logger(api: Any, errors: list[str]) -> Any:
    class Logger(api.ILogger):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, message: str) -> None:
            if severity.value <= api.ILogger.Severity.ERROR.value:
                errors.append(message)

    return Logger()
