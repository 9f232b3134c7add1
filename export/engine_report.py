"""Which layers an engine runs, and in which number type.

Three sources tell it: the engine inspector of the full TensorRT, which needs the GPU; the text of
the compiled program inside an ahead-of-time engine of TensorRT-RTX; and the parsed network, which
is what was asked for, before fusion. The text is no documented format, so an engine without any
is reported as such and never taken for one without kernels.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.engine_inspector import type_text
from runtime.errors import BuildError

_TENSOR = re.compile(r"tensor=\{([^\n]*?) \}\n")
_TENSOR_NAME = re.compile(r'name="([^"]*)"')
_TENSOR_TYPE = re.compile(r"type=(\w+)")
_KERNEL = re.compile(r'\n  (\w+)=\{ name="?([^" ]+)"? ([^\n]*)')
_NAME = re.compile(r'"([^"]*)"')
# Records of the program text that compute nothing.
_NO_KERNELS = ("region", "tensor", "signal", "wait", "buffer")
# Words of the inspector for number types, those first that contain others.
_TYPE_WORDS = (
    ("uint8", "uint8"),
    ("int8", "int8"),
    ("bf16|bfloat16", "bf16"),
    ("fp16|half", "half"),
    ("fp8", "fp8"),
    ("fp32|float", "float"),
    ("int64", "int64"),
    ("int32", "int32"),
    ("bool", "bool"),
)
# What the members of the bindings' DataType are called elsewhere.
_MEMBER_TYPES = {"FLOAT": "float", "HALF": "half", "BF16": "bf16", "INT8": "int8"}
# Layers that a dequantized tensor passes unchanged on its way to a convolution.
_TRANSPARENT = ("SHUFFLE", "IDENTITY")


@dataclass(frozen=True)
class Layer:
    """One layer or kernel.

    Attributes:
        kind: What TensorRT calls it.
        name: Its name, mostly made from the names of the ONNX nodes fused into it.
        input_types: Number types read, such as "int8", "half", "bf16", "float"; "?" where
            unknown.
        output_types: Number types written.
        convolves_in: The type in which a convolution multiplies; None for other layers.
    """

    kind: str
    name: str
    input_types: tuple[str, ...]
    output_types: tuple[str, ...]
    convolves_in: str | None = None


@dataclass(frozen=True)
class EngineReport:
    """The layers of one engine, or of the network it is made from."""

    layers: tuple[Layer, ...]

    def convolutions(self, number_type: str) -> int:
        """Count convolutions that multiply in ``number_type``."""
        return sum(layer.convolves_in == number_type for layer in self.layers)

    def convolution_types(self) -> dict[str, int]:
        """Count convolutions by number type."""
        return dict(Counter(x.convolves_in for x in self.layers if x.convolves_in is not None))

    def table(self) -> str:
        """Return the number of layers by kind and number type, as text."""
        counts = Counter(
            (layer.kind, layer.convolves_in or next(iter(layer.input_types), "-"))
            for layer in self.layers
        )
        types = sorted({number_type for _, number_type in counts})
        kinds = sorted({kind for kind, _ in counts})
        width = max((len(kind) for kind in kinds), default=0)
        lines = [" " * width + "".join(f"{t:>10s}" for t in types)]
        for kind in kinds:
            cells = "".join(f"{counts[kind, t] or '':>10}" for t in types)
            lines.append(f"{kind:{width}s}{cells}")
        return "\n".join(lines)


def read_engine(engine: bytes) -> EngineReport:
    """Read the kernels of an ahead-of-time engine, over all GPUs that it was built for.

    Raises:
        BuildError: If no kernel is found: another kind of file, or the format changed.
    """
    text = engine.decode("latin1")
    types = _tensor_types(text)
    layers = tuple(
        _kernel(kind, name, _types_at(rest, "input", types), _types_at(rest, "output", types))
        for kind, name, rest in _KERNEL.findall(text)
        if kind not in _NO_KERNELS
    )
    if not layers:
        raise BuildError(
            f"found no kernel text in an engine of {len(engine)} bytes; expected TensorRT-RTX's "
            "program text; the engine's format changed: check its precision on a GPU, or pin the "
            "tested TensorRT-RTX version"
        )
    return EngineReport(layers)


def read_inspector(text: str) -> EngineReport:
    """Read what TensorRT's engine inspector tells in JSON, in the layout of version 10 or 11.

    Raises:
        BuildError: If it is no such JSON, or has names without details.
    """
    try:
        records = json.loads(text)["Layers"]
        layers = tuple(map(_inspected, records))
    except (ValueError, KeyError, TypeError, AttributeError):
        layers = ()
    if not layers:
        raise BuildError(
            f"the engine inspector gave {text[:40]!r}; expected JSON with detailed Layers, so the "
            "precision is not proved; report this with the TensorRT version"
        )
    return EngineReport(layers)


def read_network(network: Any) -> EngineReport:
    """Read the layers of a parsed network; TensorRT's ``INetworkDefinition``.

    A convolution whose features come out of a dequantize layer counts as INT8.
    """
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    makers = {layer.get_output(i).name: layer for layer in layers for i in range(layer.num_outputs)}
    return EngineReport(tuple(_parsed(layer, makers) for layer in layers))


def _kernel(kind: str, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Layer:
    """Return a kernel of the program text; NVIDIA's compiler calls a convolution correlation."""
    if kind != "corrltn" and "Corr" not in name:
        return Layer(kind, name, inputs, outputs)
    features_and_weights = set(inputs[:2])
    multiplies_in = inputs[0] if len(features_and_weights) == 1 else "?"
    return Layer(kind, name, inputs, outputs, multiplies_in)


def _tensor_types(text: str) -> dict[str, str]:
    """Map the name of every tensor to its number type."""
    types = {}
    for record in _TENSOR.finditer(text):
        name, kind = _TENSOR_NAME.search(record.group(1)), _TENSOR_TYPE.search(record.group(1))
        if name and kind:
            types[name.group(1)] = kind.group(1)
    return types


def _types_at(record: str, side: str, types: dict[str, str]) -> tuple[str, ...]:
    """Return the number types at one side of a kernel's record."""
    group = re.search(rf" {side}(?:_args)?=\{{ ?([^}}]*)\}}", " " + record)
    names = _NAME.findall(group.group(1)) if group else []
    return tuple(types.get(name, "?") for name in names)


def _inspected(record: Mapping[str, Any]) -> Layer:
    kind = str(record["LayerType"])
    name = " ".join(filter(None, (str(record["Name"]), str(record.get("Metadata", "")))))
    inputs, outputs = (_inspected_types(record[side]) for side in ("Inputs", "Outputs"))
    what = f"{kind} {record.get('ParameterType', '')}".lower()
    convolves = "conv" in what or "corr" in what or "Corr" in name
    return Layer(kind, name, inputs, outputs, (*inputs, "?")[0] if convolves else None)


def _inspected_types(tensors: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    types = []
    for record in tensors:
        text = type_text(record).lower()
        types.append(next((kind for words, kind in _TYPE_WORDS if re.search(words, text)), "?"))
    return tuple(types)


def _parsed(layer: Any, makers: Mapping[str, Any]) -> Layer:
    tensors = [layer.get_input(i) for i in range(layer.num_inputs)]
    inputs = tuple(_member_type(tensor.dtype) for tensor in tensors if tensor is not None)
    outputs = tuple(_member_type(layer.get_output(i).dtype) for i in range(layer.num_outputs))
    kind = layer.type.name
    convolves_in = None
    if kind in ("CONVOLUTION", "DECONVOLUTION"):
        quantized = _comes_from_dequantize(tensors[0], makers)
        convolves_in = "int8" if quantized else inputs[0]
    return Layer(kind, layer.name, inputs, outputs, convolves_in)


def _comes_from_dequantize(tensor: Any, makers: Mapping[str, Any]) -> bool:
    maker = makers.get(tensor.name)
    while maker is not None and maker.type.name in _TRANSPARENT:
        maker = makers.get(maker.get_input(0).name)
    return maker is not None and maker.type.name == "DEQUANTIZE"


def _member_type(member: Any) -> str:
    name = str(member.name)
    return _MEMBER_TYPES.get(name, name.lower())
