"""Read from a TensorRT-RTX engine which kernels it runs, and in which number type.

An ahead-of-time engine holds the text of its compiled program: one record per tensor with its
type, one per kernel with the names of what it reads and writes. The text is no documented format,
so an engine without any is reported as such and never taken for one without kernels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.errors import BuildError

_TENSOR = re.compile(r"tensor=\{([^\n]*?) \}\n")
_TENSOR_NAME = re.compile(r'name="([^"]*)"')
_TENSOR_TYPE = re.compile(r"type=(\w+)")
_KERNEL = re.compile(r'\n  (\w+)=\{ name="?([^" ]+)"? ([^\n]*)')
_NAME = re.compile(r'"([^"]*)"')


@dataclass(frozen=True)
class Kernel:
    """One kernel of an engine.

    Attributes:
        kind: What the engine calls it.
        name: Its name, made from the operations fused into it.
        input_types: Number types read, such as "int8", "half", "float"; "?" where unknown.
        output_types: Number types written.
    """

    kind: str
    name: str
    input_types: tuple[str, ...]
    output_types: tuple[str, ...]

    @property
    def is_convolution(self) -> bool:
        """Whether it convolves; NVIDIA's compiler calls that a correlation."""
        return self.kind == "corrltn" or "Corr" in self.name


@dataclass(frozen=True)
class EngineReport:
    """The kernels of one engine, over all GPUs that it was built for."""

    kernels: tuple[Kernel, ...]

    def convolutions(self, number_type: str) -> int:
        """Count convolutions whose features and weights are read in ``number_type``."""
        return sum(
            k.is_convolution and k.input_types[:2] == (number_type,) * 2 for k in self.kernels
        )


def read_engine(engine: bytes) -> EngineReport:
    """Read the kernels of an engine.

    Raises:
        BuildError: If no kernel is found: another kind of file, or the format changed.
    """
    text = engine.decode("latin1")
    types = _tensor_types(text)
    kernels = tuple(
        Kernel(kind, name, _types_at(rest, "input", types), _types_at(rest, "output", types))
        for kind, name, rest in _KERNEL.findall(text)
        if kind not in ("region", "tensor")
    )
    if not kernels:
        raise BuildError(
            f"found no kernel text in an engine of {len(engine)} bytes; expected TensorRT-RTX's "
            "program text; the engine's format changed: check its precision on a GPU, or pin the "
            "tested TensorRT-RTX version"
        )
    return EngineReport(kernels)


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
