"""A TensorRT that has exactly the names of one real version, and builds nothing.

Whatever a version's Python bindings lack raises ``AttributeError`` here too: code that runs
against the fake of every version asks for what only some have.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx

from export.onnx_graph import tensor_types

PRESENCE = json.loads(
    (Path(__file__).resolve().parents[1] / "data/trt_api/presence.json").read_text("utf-8")
)
VERSIONS: tuple[str, ...] = tuple(PRESENCE["versions"])
# ONNX element types as members of DataType.
_TYPES = {1: "FLOAT", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "HALF"}
_TYPES[16] = "BF16"
_LAYERS = {"Conv": "CONVOLUTION", "QuantizeLinear": "QUANTIZE", "DequantizeLinear": "DEQUANTIZE"}


def members(version: str, class_name: str) -> set[str]:
    """Return the public names of a class in a version; empty where the class is missing."""
    column = VERSIONS.index(version)
    groups = PRESENCE["classes"].get(class_name, {})
    return {name for presence, names in groups.items() if presence[column] == "x" for name in names}


class Limited:
    """An object with the names of one class in one version; what it does is given."""

    def __init__(self, version: str, class_name: str, **values: Any) -> None:
        names = members(version, class_name)
        assert names.issuperset(values), f"{class_name} of {version}: {set(values) - names}"
        self.__dict__.update(_title=f"{class_name} of {version}", _names=names, _values=values)

    def __getattr__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        raise AttributeError(f"{self._title} has no {name}, or the fake does not")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._names:
            raise AttributeError(f"{self._title} has no {name}")
        self._values[name] = value


class FakeTensorRT:
    """One version's module.

    Attributes:
        configs: Every builder configuration that was used, as a dictionary.
        inspected: Makes the inspector's JSON from the layers of the network.
        fails_with: Error lines for the log, where the build is to fail.
    """

    def __init__(self, version: str) -> None:
        self.__version__ = version.removeprefix("rtx-")
        self.version = version
        self.configs: list[dict[str, Any]] = []
        self.inspected: Callable[[list[Any]], str] = self.inspector_json
        self.fails_with: list[str] = []
        self._engine_layers: list[Any] = []
        severities = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
        severity = enum.IntEnum("Severity", severities, start=0)
        self.ILogger = type("ILogger", (), {**severity.__members__, "Severity": severity})
        self.IProgressMonitor = type("IProgressMonitor", (), {})

    def __getattr__(self, name: str) -> Any:
        """Return an enumeration of this version."""
        names = sorted(members(self.version, name))
        if not names:
            raise AttributeError(f"module tensorrt {self.version} has no {name}")
        return enum.IntEnum(name, names, start=0)

    def limited(self, class_name: str, **values: Any) -> Limited:
        return Limited(self.version, class_name, **values)

    def Builder(self, logger: Any) -> Limited:
        return self.limited(
            "Builder",
            create_network=self._network,
            create_builder_config=self._config,
            create_optimization_profile=self._profile,
            build_serialized_network=lambda network, config: self._build(network, config, logger),
        )

    def OnnxParser(self, network: Any, logger: Any) -> Limited:
        def parse(data: bytes) -> bool:
            network.__dict__["_values"].update(self._layers(onnx.ModelProto.FromString(data)))
            return True

        return self.limited("OnnxParser", parse=parse, num_errors=0)

    def Runtime(self, logger: Any) -> Limited:
        inspector = self.limited(
            "EngineInspector",
            get_engine_information=lambda form: self.inspected(self._engine_layers),
        )
        engine = self.limited("ICudaEngine", create_engine_inspector=lambda: inspector)
        return self.limited("Runtime", deserialize_cuda_engine=lambda data: engine)

    def inspector_json(self, layers: list[Any]) -> str:
        """Return what the inspector of this version says about a network that ran as parsed."""
        records = []
        for layer in layers:
            sides = {
                side: [self._described(getattr(layer, f"get_{side[:-1].lower()}")(i).dtype.name)]
                for side, i in (("Inputs", 0), ("Outputs", 0))
            }
            kind = {"CONVOLUTION": "CaskConvolution"}.get(layer.type.name, layer.type.name.title())
            records.append({"Name": layer.name, "LayerType": kind, **sides})
        return json.dumps({"Layers": records})

    def _described(self, member: str) -> dict[str, str]:
        words = {"HALF": "FP16", "FLOAT": "FP32", "INT8": "Int8"}.get(member, member)
        if self.version.startswith("10."):
            return {"Name": "x", "Format/Datatype": f"Row major linear {words} format"}
        return {"Name": "x", "Format": "Row major linear", "Datatype": words}

    def _network(self, flags: int) -> Limited:
        assert flags == 1 << int(self.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return self.limited("INetworkDefinition")

    def _layers(self, model: onnx.ModelProto) -> dict[str, Any]:
        types = tensor_types(model)

        def tensor(name: str) -> Limited:
            shape = tuple(s if isinstance(s, int) else -1 for s in types[name].shape)
            kind = getattr(self.DataType, _TYPES[types[name].elem_type])
            return self.limited("ITensor", name=name, dtype=kind, shape=shape)

        def layer(node: onnx.NodeProto) -> Limited:
            inputs, outputs = [n for n in node.input if n], list(node.output)
            return self.limited(
                "ILayer",
                name=node.name,
                type=SimpleNamespace(name=_LAYERS.get(node.op_type, node.op_type.upper())),
                num_inputs=len(inputs),
                get_input=lambda i: tensor(inputs[i]),
                num_outputs=len(outputs),
                get_output=lambda i: tensor(outputs[i]),
            )

        layers = [layer(node) for node in model.graph.node]
        borders = [tensor(value.name) for value in model.graph.input]
        self._engine_layers = layers
        return {
            "num_layers": len(layers),
            "get_layer": layers.__getitem__,
            "num_inputs": len(borders),
            "get_input": borders.__getitem__,
        }

    def _config(self) -> Limited:
        seen: dict[str, Any] = {"flags": [], "limits": {}, "profiles": [], "cache": None}
        self.configs.append(seen)

        def set_cache(cache: Any, ignore_mismatch: bool) -> bool:
            seen["cache"] = cache
            return bool(cache.serialize() != b"of another GPU")

        def timing_cache(data: bytes) -> Limited:
            return self.limited("ITimingCache", serialize=lambda: data or b"fresh")

        config = self.limited(
            "IBuilderConfig",
            add_optimization_profile=seen["profiles"].append,
            set_flag=seen["flags"].append,
            set_memory_pool_limit=seen["limits"].__setitem__,
            create_timing_cache=timing_cache,
            set_timing_cache=set_cache,
            get_timing_cache=lambda: seen["cache"],
        )
        seen["config"] = config
        return config

    def _profile(self) -> Limited:
        shapes: dict[str, Any] = {}

        def set_shape(name: str, smallest: Any, usual: Any, largest: Any) -> None:
            shapes[name] = (tuple(smallest), tuple(usual), tuple(largest))

        profile = self.limited("IOptimizationProfile", set_shape=set_shape)
        profile.__dict__["shapes"] = shapes
        return profile

    def _build(self, network: Any, config: Any, logger: Any) -> bytes | None:
        monitor = config.progress_monitor
        monitor.phase_start("Building engine", None, 2)
        for step in range(2):
            if not monitor.step_complete("Building engine", step):
                logger.log(self.ILogger.ERROR, "canceled")
                return None
        monitor.phase_finish("Building engine")
        for line in self.fails_with:
            logger.log(self.ILogger.ERROR, line)
        if self.fails_with:
            return None
        numbers = [int(part) for part in self.__version__.split(".")]
        header = b"ftrt".ljust(24, b"\0") + bytes([*numbers, 30][:4])
        return header.ljust(64, b"\0") + b"layers"
