"""From an ONNX graph to an engine, with TensorRT or TensorRT-RTX: one code path for both.

Written against what the Python bindings of TensorRT 10.3 to 11 and TensorRT-RTX share; what only
some have is asked for by ``hasattr``. Precision is in the graph: networks are strongly typed and
no precision flag is ever set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import ModelProto

from export.build_progress import monitor_of, start_progress
from export.engine_report import EngineReport, read_network
from export.tensorrt_options import SizeRange, TensorRTOptions
from runtime.atomic_file import replace_when_done
from runtime.errors import BuildError
from runtime.manifest import PRODUCTS
from runtime.trt_log import error_log
from runtime.trt_module import TensorRTModule

# How the parser begins what it logs: with the errors that it returns as well, and the node's text.
PARSER_ECHO = re.compile(r"\w+\.cpp:\d+:")


@dataclass(frozen=True)
class Compilation:
    """What a compiler made.

    Attributes:
        engine: The serialized engine.
        network: The layers of the parsed network, before fusion.
    """

    engine: bytes
    network: EngineReport


class Compiler:
    """One compilation; keeps TensorRT's objects alive as long as they need each other.

    Attributes:
        logger: TensorRT's logger, also for loading plugins; its errors end up in messages.
    """

    def __init__(self, trt: TensorRTModule, options: TensorRTOptions) -> None:
        """Start TensorRT's builder.

        Raises:
            BuildError: If it does not start, such as without a driver.
        """
        self._api = trt.api
        self._title = f"{PRODUCTS[trt.product]} {trt.version}"
        self._options = options
        self._log = error_log(self._api)
        self._log.take()  # what an earlier build left
        self.logger = self._log.logger
        try:
            self._builder = self._api.Builder(self.logger)
        except TypeError:  # what the bindings raise when the factory returns nothing
            raise BuildError(
                f"{self._title} does not start ({self._log.take()}); expected an NVIDIA GPU with a "
                "driver that is new enough; see nvidia-smi"
            ) from None

    def compile(self, model: ModelProto) -> Compilation:
        """Compile a graph.

        Args:
            model: Its custom nodes are those of loaded plugins.

        Raises:
            BuildError: If TensorRT cannot read or build it; says what it logged.
            KeyboardInterrupt: After Ctrl-C, once TensorRT has stopped.
        """
        network = self._parse(model)
        config = self._config(network)
        cache = self._options.timing_cache
        if cache is not None:
            _attach_timing_cache(config, cache)
        engine = self._build(network, config)
        if cache is not None:
            _keep_timing_cache(config, cache)
        return Compilation(engine, read_network(network))

    def _build(self, network: Any, config: Any) -> bytes:
        progress = start_progress()
        config.progress_monitor = monitor_of(self._api, progress)
        try:
            engine = self._builder.build_serialized_network(network, config)
        finally:
            progress.close()
        if progress.interrupted:
            raise KeyboardInterrupt
        if engine is None:
            raise BuildError(
                f"{self._title} could not build the engine ({self._log.take()}); expected a graph "
                "of operators that it implements, and enough memory; stop other programs, or give "
                "more than this --workspace"
            )
        return bytes(engine)

    def _parse(self, model: ModelProto) -> Any:
        # Retained and ignored where every network is strongly typed.
        flag = self._api.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        network = self._builder.create_network(1 << int(flag))
        parser = self._api.OnnxParser(network, self.logger)
        if not parser.parse(model.SerializeToString()):
            errors = [parser.get_error(i) for i in range(parser.num_errors)]
            reasons = [f"{e.node_name() or 'model'}: {e.desc()}" for e in errors]
            # A plugin tells the log alone what is wrong with its attributes.
            logged = [m for m in self._log.take_messages() if not PARSER_ECHO.match(m)]
            raise BuildError(
                f"{self._title} cannot read the model ({'; '.join(logged + reasons)}); expected "
                "ONNX operators that it supports; export it again"
            )
        return network

    def _config(self, network: Any) -> Any:
        api, options = self._api, self._options
        config = self._builder.create_builder_config()
        # The engine then names its layers and types, which is how its precision is checked.
        config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
        config.add_optimization_profile(self._profile(network))
        if options.compute_capabilities:
            self._set_capabilities(config)
        if options.optimization_level is not None:
            config.builder_optimization_level = options.optimization_level
        if options.workspace_mib is not None:
            config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
        if options.version_compatible:
            config.set_flag(api.BuilderFlag.VERSION_COMPATIBLE)
        if options.hardware_compatibility != "none":
            config.hardware_compatibility_level = self._hardware_compatibility()
        return config

    def _set_capabilities(self, config: Any) -> None:
        if not hasattr(config, "set_compute_capability"):
            raise BuildError(
                f"{self._title} builds for the GPU at hand alone; expected no --target-sm; use "
                "TARGET=tensorrt-rtx to build for other GPUs"
            )
        known = self._api.ComputeCapability.__members__
        names = [f"SM{c.replace('.', '')}" for c in self._options.compute_capabilities]
        if absent := [name for name in names if name not in known]:
            raise BuildError(
                f"{self._title} does not build for {absent[0]}; expected some of "
                f"{', '.join(name for name in known if name.startswith('SM'))}; change --target-sm"
            )
        config.num_compute_capabilities = len(names)
        for i, name in enumerate(names):
            config.set_compute_capability(known[name], i)

    def _hardware_compatibility(self) -> Any:
        level = self._api.HardwareCompatibilityLevel
        if self._options.hardware_compatibility == "ampere-plus":
            return level.AMPERE_PLUS
        if hasattr(level, "SAME_COMPUTE_CAPABILITY"):
            return level.SAME_COMPUTE_CAPABILITY
        raise BuildError(
            f"{self._title} has no engines for all GPUs of one compute capability; expected "
            "--hardware-compatibility none or ampere-plus with this version"
        )

    def _profile(self, network: Any) -> Any:
        """Return the range of input shapes; sizes that the model fixes stay as they are."""
        profile = self._builder.create_optimization_profile()
        for tensor in (network.get_input(i) for i in range(network.num_inputs)):
            ranges = _dimension_ranges(tensor, self._options)
            profile.set_shape(
                tensor.name,
                [r.smallest for r in ranges],
                [r.usual for r in ranges],
                [r.largest for r in ranges],
            )
        return profile


def _dimension_ranges(tensor: Any, options: TensorRTOptions) -> list[SizeRange]:
    """Return the range of every dimension of an input: N, H, W and others."""
    asked = {0: options.batch, 1: options.height, 2: options.width}
    names = {1: "--height", 2: "--width"}
    ranges = []
    for axis, size in enumerate(tensor.shape):
        wanted = asked.get(axis)
        if size != -1 and wanted is not None and axis in names:
            raise BuildError(
                f"{names[axis]} was given, but the model takes frames of shape "
                f"{tuple(tensor.shape)}; expected it for a dynamic size only; leave it out, or "
                "export the size that you want"
            )
        if size != -1:
            ranges.append(SizeRange(size, size, size))
        elif wanted is not None:
            ranges.append(wanted)
        else:
            option = names.get(axis)
            raise BuildError(
                f"input {tensor.name} has shape {tuple(tensor.shape)}, dynamic in dimension "
                f"{axis}; expected "
                + (
                    f"{option} SMALLEST USUAL LARGEST with it"
                    if option
                    else "frames (N, H, W, 3); export it again: python -m export.export_onnx"
                )
            )
    return ranges


def _attach_timing_cache(config: Any, path: Path) -> None:
    """Let a build use earlier timings; those of another GPU or version are dropped."""
    earlier = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    if earlier is None or not config.set_timing_cache(earlier, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _keep_timing_cache(config: Any, path: Path) -> None:
    with replace_when_done(path) as partial:
        partial.write_bytes(bytes(config.get_timing_cache().serialize()))
