"""What TensorRT's engine inspector tells of an engine's layers, whichever version wrote it.

The inspector gives JSON whose list ``Layers`` holds an object for each layer, or a bare name where
the engine was not built with profiling verbosity DETAILED. Fields come and go with the version and
the kind of layer, so that none but the name is taken for granted:

- ``Metadata`` holds "[ONNX Layer: NAME]" for each node, with control characters between them
  (0x1E between groups, 0x1F within one); versions before 8.6 and some layers have none.
- The number type of a tensor is in ``Format/Datatype`` in TensorRT 10, as a word ("Int8") or at the
  end of a sentence ("Thirty-two wide channel vectorized row major Int8 format"); TensorRT 11 has
  ``Format`` and ``Datatype`` apart.

Source: NVIDIA, TensorRT documentation, "Engine Inspector" and "Migrating to TensorRT 11".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.errors import BackendError
from runtime.layers import NO_MODULE, module_of

_ONNX_NODE = re.compile(r"\[ONNX Layer: ([^\]\x1e\x1f]*)\]")
# What a layer's name is made of where nothing else tells its nodes: "a + b", "a || b",
# "PWN(a, b)", "{ForeignNode[a...b]}", "Reformatting CopyNode for Input Tensor 0 to a".
_NAME_SEPARATORS = re.compile(r"\.\.\.|[\s+|,(){}\[\]]+")
# Number types as TensorRT writes them; the first that fits counts.
_PRECISIONS = (
    (re.compile(r"bf16|bfloat16", re.IGNORECASE), "bf16"),
    (re.compile(r"fp8", re.IGNORECASE), "fp8"),
    (re.compile(r"fp16|half", re.IGNORECASE), "fp16"),
    (re.compile(r"(?<!u)int8", re.IGNORECASE), "int8"),
    (re.compile(r"fp32|float", re.IGNORECASE), "fp32"),
)
_TYPE_KEYS = ("datatype", "data type", "format/datatype")


@dataclass(frozen=True)
class InspectedLayer:
    """One layer of an engine.

    Attributes:
        name: As the profiler calls it too.
        kind: What TensorRT calls its kind, such as "CaskConvolution"; "" where it is not told.
        nodes: Names of the ONNX nodes in it; of a range "{ForeignNode[a...b]}" the ends only.
        precision: As in ``LayerTime``.
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    precision: str


@dataclass(frozen=True)
class InspectedEngine:
    """An engine's layers.

    Attributes:
        layers: By name; of two with one name the first.
        is_detailed: Whether the engine was built so that it tells more than names.
    """

    layers: dict[str, InspectedLayer]
    is_detailed: bool

    def find(self, name: str) -> InspectedLayer:
        """Return the layer that a profiler's name means, from that name alone if none is known.

        With several profiles of shapes, names end in the profile's number.
        """
        known = self.layers.get(name) or self.layers.get(re.sub(r" \[profile \d+\]$", "", name))
        return known or InspectedLayer(name, "", nodes_in_name(name), "")


def read_inspector(text: str) -> InspectedEngine:
    """Read the inspector's JSON.

    Raises:
        BackendError: If it is no such JSON.
    """
    try:
        records = json.loads(text)["Layers"]
        layers = [_layer(record) for record in records]
    except (ValueError, KeyError, TypeError):
        raise BackendError(
            f"TensorRT's engine inspector gave {text[:40]!r}; expected JSON with a list Layers; "
            "report this with the TensorRT version"
        ) from None
    by_name = {layer.name: layer for layer in reversed(layers)}
    return InspectedEngine(by_name, any(isinstance(record, Mapping) for record in records))


def nodes_in_name(name: str) -> tuple[str, ...]:
    """Return what looks like the names of our ONNX nodes in the name of a layer.

    Example:
        >>> nodes_in_name("stem.0.conv/Conv + PWN(stem.0.relu/Relu)")
        ('stem.0.conv/Conv', 'stem.0.relu/Relu')
    """
    words = _NAME_SEPARATORS.split(name)
    return tuple(dict.fromkeys(word for word in words if module_of(word) not in (NO_MODULE, "")))


def _layer(record: Any) -> InspectedLayer:
    if isinstance(record, str):
        return InspectedLayer(record, "", nodes_in_name(record), "")
    name = str(record["Name"])
    told = _ONNX_NODE.findall(str(record.get("Metadata") or ""))
    nodes = tuple(dict.fromkeys(told)) or nodes_in_name(name)
    return InspectedLayer(name, str(record.get("LayerType") or ""), nodes, _precision(record))


def _precision(record: Mapping[str, Any]) -> str:
    """Return the number type of the first input that has one we compute in, or else of an output.

    Weights come last: in an FP16 layer they may be kept in another type.
    """
    tensors = [*(record.get("Inputs") or ()), *(record.get("Outputs") or ())]
    texts = [type_text(tensor) for tensor in tensors]
    weights = record.get("Weights")
    if isinstance(weights, Mapping):
        texts.append(str(weights.get("Type", "")))
    return next(filter(None, map(_precision_in, texts)), "")


def type_text(tensor: Any) -> str:
    """Return what an inspected tensor's record says of its number type; "" if nothing."""
    if not isinstance(tensor, Mapping):
        return ""
    notes = {key.lower(): str(value) for key, value in tensor.items()}
    return next((notes[key] for key in _TYPE_KEYS if key in notes), "")


def _precision_in(text: str) -> str:
    return next((name for words, name in _PRECISIONS if words.search(text)), "")
