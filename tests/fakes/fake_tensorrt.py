"""TensorRT and TensorRT-RTX on top of the software GPU, with one tiny detector for an engine."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from runtime.contract import TensorSpec, write_contract
from runtime.manifest import HEADER_BYTES, EngineManifest
from runtime.trt_module import TensorRTModule
from tests.builders import TINY_BOXES_XYXY, TINY_CLASS_IDS, TINY_CONTRACT, TINY_SCORES
from tests.fakes.cuda_driver import MEBIBYTE, CudaFailure, FakeDriver

VERSIONS = {"tensorrt": "10.3.0.30", "tensorrt-rtx": "1.7.1.116"}
MAGIC = {"tensorrt": b"ftrt", "tensorrt-rtx": b"vtrt"}
TINY = b"tiny detector"
SM86_BIT = 1 << 2  # of the mask in a TensorRT-RTX header
MANIFEST = EngineManifest(
    product="tensorrt",
    version=VERSIONS["tensorrt"],
    compute_capabilities=("8.6",),
    gpu_name="Fake GPU",
    precision="fp32",
    plugins=(),
    onnx_sha256="0" * 64,
    ranges=None,
    version_compatible=False,
    hardware_compatibility="none",
    build_arguments=("--onnx", "tiny.onnx", "--out", "tiny.engine"),
)


def write_tiny_engine(
    path: Path,
    product: str = "tensorrt",
    plan: bytes = TINY,
    contract: dict[str, object] | None = None,
    **manifest: object,
) -> Path:
    """Write an engine that the fakes run, and its contract.

    Args:
        path: Where to.
        product: "tensorrt" or "tensorrt-rtx".
        plan: What follows the header.
        contract: Fields of the contract to change.
        manifest: Fields of the manifest to change.
    """
    version = bytes(map(int, VERSIONS[product].split(".")))
    size = HEADER_BYTES + len(plan)
    header = struct.pack("<4s12xQ4s4xI", MAGIC[product], size, version, SM86_BIT)
    path.write_bytes(header.ljust(HEADER_BYTES, b"\0") + plan)
    needs = {"product": product, "version": VERSIONS[product], **manifest}
    if product == "tensorrt-rtx":
        needs.setdefault("gpu_name", None)
    engine = dataclasses.replace(MANIFEST, **needs)  # type: ignore[arg-type]
    fields = {"target": product, "engine": engine, **(contract or {})}
    write_contract(dataclasses.replace(TINY_CONTRACT, **fields), path)  # type: ignore[arg-type]
    return path


@dataclasses.dataclass
class FakeTensorRT:
    """What its engines do, and what was asked of it.

    Attributes:
        driver: The GPU.
        product: "tensorrt" or "tensorrt-rtx".
        max_batch: Of the engines' profile.
        context_bytes: Device memory that each context takes.
        weight_bytes: Device memory that each engine takes.
        refuse: "runtime", "execute", "shape" or "address": what it will not do.
        jit_cache: What TensorRT-RTX has compiled at the end.
        accepted_caches: What was offered as a cache from before.
        host_code_allowed: Whether the last engine was allowed to bring code of its own.
        layer_times: Layers and their milliseconds, as a profiler is told them after each run.
        inspected: What the engine inspector says.
    """

    driver: FakeDriver
    product: str = "tensorrt"
    max_batch: int = 2
    context_bytes: int = MEBIBYTE
    weight_bytes: int = MEBIBYTE
    refuse: frozenset[str] = frozenset()
    jit_cache: bytes = b"compiled kernels"
    accepted_caches: list[bytes] = dataclasses.field(default_factory=list)
    host_code_allowed: bool = False
    layer_times: tuple[tuple[str, float], ...] = (("backbone/Conv", 1.5), ("decode/TopK", 0.5))
    inspected: str = '{"Layers": ["backbone/Conv", "decode/TopK"]}'
    inputs: tuple[TensorSpec, ...] = TINY_CONTRACT.inputs
    outputs: tuple[TensorSpec, ...] = TINY_CONTRACT.outputs

    def module(self) -> TensorRTModule:
        """Return what ``load_tensorrt`` or ``load_tensorrt_rtx`` would."""
        fake = self

        class ILogger:
            Severity = SimpleNamespace(ERROR=SimpleNamespace(value=1))

        class Runtime:
            def __init__(self, logger: Any) -> None:
                if "runtime" in fake.refuse:
                    fake.log(logger, "CUDA initialization failure with error: 35")
                    raise TypeError("pybind11::init(): factory function returned nullptr")
                self.engine_host_code_allowed = False
                self._logger = logger

            def deserialize_cuda_engine(self, blob: bytes) -> _Engine | None:
                fake.host_code_allowed = self.engine_host_code_allowed
                return fake.deserialize(blob, self._logger)

        api: Any = ModuleType(self.product)
        api.ILogger, api.Runtime = ILogger, Runtime
        api.IProfiler = type("IProfiler", (), {})
        api.LayerInformationFormat = SimpleNamespace(JSON="json")
        if self.product == "tensorrt-rtx":
            strategies = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole", DISABLED="disabled")
            api.CudaGraphStrategy = strategies
        return TensorRTModule(api, self.product, VERSIONS[self.product])

    def deserialize(self, blob: bytes, logger: Any) -> _Engine | None:
        if not blob[HEADER_BYTES:].startswith(TINY):
            self.log(logger, "Error Code 1: Serialization (magicTag assertion failed)")
            return None
        try:
            return _Engine(self, logger)
        except CudaFailure:
            self.log(logger, "Error Code 2: OutOfMemory (Requested size was too large)")
            return None

    @staticmethod
    def log(logger: Any, message: str) -> None:
        logger.log(SimpleNamespace(value=3), "only information")
        logger.log(SimpleNamespace(value=1), message)


class _Engine:
    """An ``ICudaEngine`` with an open batch size."""

    def __init__(self, fake: FakeTensorRT, logger: Any) -> None:
        self._fake = fake
        self._logger = logger
        self._specs = {spec.name: spec for spec in (*fake.inputs, *fake.outputs)}
        self.num_io_tensors = len(self._specs)
        self.device_memory_size_v2 = fake.context_bytes
        self._weights = fake.driver.allocate(fake.weight_bytes)

    def __del__(self) -> None:
        if hasattr(self, "_weights"):
            self._fake.driver.destroy(self._fake.driver.free, self._weights)

    def get_tensor_name(self, index: int) -> str:
        return list(self._specs)[index]

    def get_tensor_mode(self, name: str) -> SimpleNamespace:
        inputs = {spec.name for spec in self._fake.inputs}
        return SimpleNamespace(name="INPUT" if name in inputs else "OUTPUT")

    def get_tensor_dtype(self, name: str) -> SimpleNamespace:
        names = {"uint8": "UINT8", "int32": "INT32", "float32": "FLOAT", "float16": "HALF"}
        return SimpleNamespace(name=names[self._specs[name].dtype])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(-1 if isinstance(s, str) else s for s in self._specs[name].shape)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        rest = self.get_tensor_shape(name)[1:]
        return [(1, *rest), (1, *rest), (self._fake.max_batch, *rest)]

    def create_runtime_config(self) -> SimpleNamespace:
        fake = self._fake
        config = SimpleNamespace(cuda_graph_strategy="none", _cache=None)
        config.create_runtime_cache = lambda: SimpleNamespace(
            deserialize=fake.accepted_caches.append, serialize=lambda: fake.jit_cache
        )
        config.set_runtime_cache = lambda cache: setattr(config, "_cache", cache)
        return config

    def create_engine_inspector(self) -> _Inspector:
        return _Inspector(self._fake.inspected)

    def create_execution_context(self, config: Any = None) -> _Context | None:
        if self._fake.product == "tensorrt-rtx":
            assert config.cuda_graph_strategy != "none" and config._cache is not None
        try:
            return _Context(self, config)
        except CudaFailure:
            self._fake.log(self._logger, "Error Code 2: OutOfMemory")
            return None


class _Inspector:
    """An ``EngineInspector``."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.execution_context: _Context | None = None

    def get_engine_information(self, form: str) -> str:
        assert form == "json" and self.execution_context is not None
        assert self.execution_context._shape, "sizes that are open are not known yet"
        return self._text


class _Context:
    """An ``IExecutionContext``: scores follow the brightness of each picture."""

    def __init__(self, engine: _Engine, config: Any) -> None:
        self._engine = engine
        self._fake = engine._fake
        self._makes_graphs = config is not None and config.cuda_graph_strategy == "whole"
        self.profiler: Any = None
        self._memory = engine._fake.driver.allocate(engine._fake.context_bytes)
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()
        self._warm: set[int] = set()
        self._changes = 0

    def __del__(self) -> None:
        if hasattr(self, "_memory"):
            self._fake.driver.destroy(self._fake.driver.free, self._memory)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        wanted = self._engine.get_tensor_profile_shape(name, 0)[2]
        if shape[1:] != wanted[1:] or shape[0] > wanted[0] or "shape" in self._fake.refuse:
            self._fake.log(self._engine._logger, "Error Code 3: outside the profile")
            return False
        self._shape = shape
        self._changes += 1
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self._shape[0], *self._engine.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address % 256 == 0 and not self._warm, "addresses are set once, aligned"
        self._addresses[name] = address
        return "address" not in self._fake.refuse

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert set(self._addresses) == set(self._engine._specs) and self._shape
        driver = self._fake.driver
        if self._changes not in self._warm:
            driver.forbid_while_capturing()  # the first time, things are loaded
            self._warm.add(self._changes)
        if "execute" in self._fake.refuse:
            self._fake.log(self._engine._logger, "Error Code 1: Cuda Runtime (launch failed)")
            return False
        addresses, shape, specs = dict(self._addresses), self._shape, self._engine._specs
        changes = self._changes

        def run() -> None:
            assert changes == self._changes, "a graph of a shape that the context has left"
            count = shape[0]
            frames = driver.memory(addresses["frames"], int(np.prod(shape))).reshape(shape)
            brightness = frames.mean(axis=(1, 2, 3)) / 255
            scores = (brightness[:, None] * TINY_SCORES).astype(np.float32)
            values = {
                "boxes": np.broadcast_to(TINY_BOXES_XYXY, (count, 3, 4)),
                "scores": scores,
                "class_ids": np.broadcast_to(TINY_CLASS_IDS, (count, 3)),
                "corner_scores": np.repeat(scores[:, :, None], 2, axis=2),
            }
            for name, address in addresses.items():
                if name in values:
                    array = np.ascontiguousarray(values[name], specs[name].dtype)
                    driver.memory(address, array.nbytes)[:] = array.view(np.uint8).reshape(-1)

        try:
            driver.enqueue_call("execute", stream_handle, run)
        except CudaFailure as failure:
            self._fake.log(self._engine._logger, f"Error Code 1: Cuda Runtime ({failure})")
            return False
        if self.profiler is not None:
            assert not self._makes_graphs, "a graph tells a profiler nothing"
            for name, milliseconds in self._fake.layer_times:
                self.profiler.report_layer_time(name, milliseconds)
        return True


def new_backend(fake: FakeTensorRT) -> Any:
    """Return a backend on the software GPU; the module needs its pycuda to be installed."""
    from runtime.backend_tensorrt import TensorRTBackend

    return TensorRTBackend(fake.module())


def grey(value: int, shape: tuple[int, ...] = (1, 64, 64, 3)) -> np.ndarray:
    return np.full(shape, value, np.uint8)


def brightness(outputs: dict[str, np.ndarray]) -> int:
    """Return the grey value of the picture that the tiny detector saw."""
    return round(float(outputs["scores"][0, 0]) * 255)
