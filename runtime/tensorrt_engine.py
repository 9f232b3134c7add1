"""Loading an engine: what it needs is compared first, and what TensorRT says is kept."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

from plugins.library import PluginError, find_library, hash_library, load_plugins
from runtime.contract import ModelContract, TensorSpec
from runtime.cuda_memory import Device, free_memory, out_of_memory
from runtime.errors import ArtifactError, BackendError, ContractError
from runtime.jit_cache import JitCache
from runtime.manifest import EngineHost, EngineManifest, PluginRecord, check_engine, read_header
from runtime.trt_log import error_log
from runtime.trt_module import TensorRTModule

# TensorRT's names of the element types in a contract.
ELEMENT_TYPES = {"uint8": "UINT8", "int32": "INT32", "float32": "FLOAT"}
DYNAMIC = -1  # a size that TensorRT leaves open


class Engine:
    """An engine in the GPU's memory, which several backends may share, each in its own thread.

    The device's context must be current here and in every call. Who uses it says so with
    ``acquire``, and with ``release`` when its contexts are gone: the last one frees the memory.

    Args:
        trt: The TensorRT that is to run it.
        artifact: The file.
        contract: The file's contract, with its section ``engine``.
        device: The GPU.

    Attributes:
        launches_graphs: Whether its contexts make CUDA graphs by themselves (TensorRT-RTX).

    Raises:
        ContractError: On creation, if the contract has no section ``engine``.
        ArtifactError: If the engine does not fit this machine or its contract, or is damaged.
        BackendError: If memory runs out, or the plugin library does not load.
    """

    def __init__(
        self, trt: TensorRTModule, artifact: Path, contract: ModelContract, device: Device
    ) -> None:
        self._artifact = artifact
        self._users = 0
        self._users_lock = threading.Lock()
        self._log = error_log(trt.api)
        manifest = _checked_manifest(trt, artifact, contract, device)
        if manifest.plugins:
            _load_plugins(trt, self._log.logger)
        self._runtime = self._make_runtime(trt)
        if manifest.version_compatible:
            # Such an engine carries the code that runs it: trusted as the contract's digest is.
            self._runtime.engine_host_code_allowed = True
        self._config: Any = None
        self._jit_cache: JitCache | None = None
        self._engine = self._deserialize(trt)
        try:
            for specs, mode in ((contract.inputs, "INPUT"), (contract.outputs, "OUTPUT")):
                self._check_tensors(specs, mode)
            self._config, self._jit_cache = self._runtime_config(trt)
        except BaseException:
            self._free()
            raise
        self.launches_graphs = self._config is not None

    def acquire(self) -> None:
        """Say that one more backend uses the engine."""
        with self._users_lock:
            self._users += 1

    def release(self) -> None:
        """Say that a backend is done with it; its contexts must be gone."""
        with self._users_lock:
            self._users -= 1
            if self._users == 0:
                self._free()

    def _free(self) -> None:
        # Not left to the garbage collector: an error's traceback would keep the memory.
        self._jit_cache = self._config = self._engine = self._runtime = None

    def create_context(self) -> Any:
        """Return a new ``IExecutionContext``, with memory of its own for what lies between layers.

        Raises:
            BackendError: If memory runs out.
        """
        arguments = [] if self._config is None else [self._config]
        context = self._engine.create_execution_context(*arguments)
        if context is None:
            size = int(self._engine.device_memory_size_v2)
            if size > free_memory():
                raise BackendError(out_of_memory(size, f"a context of {self._artifact}"))
            raise BackendError(f"TensorRT made no context of {self._artifact} ({self.reasons()})")
        return context

    def largest_shape(self, name: str) -> tuple[int, ...]:
        """Return the largest shape of an input that the engine was built for."""
        shape = tuple(self._engine.get_tensor_shape(name))
        if DYNAMIC in shape:
            shape = tuple(self._engine.get_tensor_profile_shape(name, 0)[2])  # min, best, max
        return tuple(int(size) for size in shape)

    def save_jit_cache(self) -> None:
        """Keep what was compiled for this GPU; call it after the first inference."""
        if self._jit_cache is not None:
            self._jit_cache.save()

    def reasons(self) -> str:
        """Return the errors that TensorRT logged since the last call, for a message."""
        return self._log.take()

    def _make_runtime(self, trt: TensorRTModule) -> Any:
        self._log.take()  # what was logged before is not about this engine
        try:
            return trt.api.Runtime(self._log.logger)
        except TypeError:  # what the bindings make of a null pointer
            raise BackendError(
                f"{trt.product} {trt.version} does not start ({self.reasons()}); expected a driver "
                "as new as it needs; see nvidia-smi"
            ) from None

    def _deserialize(self, trt: TensorRTModule) -> Any:
        engine = self._runtime.deserialize_cuda_engine(self._artifact.read_bytes())
        if engine is None:
            reasons = self.reasons()
            if "outofmemory" in reasons.lower().replace(" ", ""):
                weights = self._artifact.stat().st_size
                raise BackendError(f"{out_of_memory(weights, str(self._artifact))} ({reasons})")
            raise ArtifactError(
                f"{trt.product} {trt.version} refused {self._artifact} ({reasons}); expected an "
                "engine built for this machine; build again: make engine"
            )
        return engine

    def _check_tensors(self, specs: tuple[TensorSpec, ...], mode: str) -> None:
        """Refuse an engine whose inputs or outputs are not those of its contract."""
        count = self._engine.num_io_tensors
        names = [self._engine.get_tensor_name(index) for index in range(count)]
        found = {name for name in names if self._engine.get_tensor_mode(name).name == mode}
        role = mode.lower()
        if found != {spec.name for spec in specs}:
            raise ArtifactError(
                f"{self._artifact} has {role}s {sorted(found)}; expected "
                f"{[spec.name for spec in specs]}, as its contract says; build again: make engine"
            )
        for spec in specs:
            dtype = self._engine.get_tensor_dtype(spec.name).name
            shape = tuple(int(size) for size in self._engine.get_tensor_shape(spec.name))
            if dtype != ELEMENT_TYPES.get(spec.dtype) or not _may_have(shape, spec.shape):
                raise ArtifactError(
                    f"{self._artifact} {role} {spec.name!r} is {dtype} {shape}; expected "
                    f"{spec.dtype} {spec.shape}, as its contract says; build again: make engine"
                )

    def _runtime_config(self, trt: TensorRTModule) -> tuple[Any, JitCache | None]:
        """Return TensorRT-RTX's settings for contexts; None where there are none to make."""
        if not hasattr(trt.api, "CudaGraphStrategy"):
            return None, None
        config = self._engine.create_runtime_config()
        config.cuda_graph_strategy = trt.api.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return config, JitCache(config, self._artifact)


def _may_have(shape: tuple[int, ...], wanted: tuple[int | str, ...]) -> bool:
    """Whether an engine's shape, with -1 for an open size, may be that of a contract."""
    return len(shape) == len(wanted) and all(
        got == DYNAMIC or isinstance(size, str) or got == size
        for got, size in zip(shape, wanted, strict=True)
    )


def _checked_manifest(
    trt: TensorRTModule, artifact: Path, contract: ModelContract, device: Device
) -> EngineManifest:
    """Return what the engine needs, after comparing it with this machine."""
    if contract.engine is None:
        raise ContractError(
            f"the contract of {artifact} has no section 'engine'; expected what the engine was "
            "built for; build again: make engine"
        )
    host = EngineHost(
        product=trt.product,
        version=trt.version,
        compute_capability=device.compute_capability,
        gpu_name=device.name,
        plugins=_plugins_here(contract.engine.plugins),
    )
    header = read_header(artifact)
    try:
        check_engine(contract.engine, header, host)
    except ArtifactError as error:
        raise ArtifactError(f"{artifact}: {error}") from None
    return contract.engine


def _plugins_here(wanted: tuple[PluginRecord, ...]) -> tuple[PluginRecord, ...]:
    """Return the plugins that the library of this machine offers, by its digest alone.

    The library is not opened for this: one that is not the engine's own is never run.
    """
    library = find_library() if wanted else None
    if library is None:
        return ()
    digest = hash_library(library)
    return tuple(dataclasses.replace(plugin, sha256=digest) for plugin in wanted)


def _load_plugins(trt: TensorRTModule, logger: Any) -> None:
    """Make TensorRT know the plugins of the library that was compared."""
    library = find_library()
    assert library is not None, "the manifest's plugins were found a moment ago"
    try:
        load_plugins(trt.api, logger, library)
    except PluginError as error:
        raise BackendError(str(error)) from None
