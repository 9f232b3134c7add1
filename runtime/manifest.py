"""What an engine needs from the machine it runs on, and the check that it finds it there.

TensorRT refuses a foreign engine late and says why only in its log. Here the reason and the
command that mends it are known before anything is deserialized, and without TensorRT: the
manifest lies in the contract's section ``engine``, and the first 64 bytes of every engine tell
product and version.
"""

from __future__ import annotations

import re
import shlex
import struct
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ArtifactError, ContractError

PRODUCTS = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT-RTX"}
# Which other GPUs an engine of the full TensorRT may run on; its builder knows the same three.
HARDWARE_COMPATIBILITIES = ("none", "same-compute-capability", "ampere-plus")
HEADER_BYTES = 64
_MAGIC = {b"ftrt": "tensorrt", b"vtrt": "tensorrt-rtx"}
# Bytes of the header: total size (TensorRT-RTX), four version numbers, GPUs (TensorRT-RTX).
_SIZE_AT, _VERSION_AT, _GPUS_AT = 16, 24, 32
# GPUs of TensorRT-RTX, by bit of the header's mask.
RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
_AMPERE = (8, 0)


@dataclass(frozen=True)
class PluginRecord:
    """One plugin and the library that it came from.

    Attributes:
        name: Its operator, such as "CornerPool".
        version: Its version, such as "1".
        sha256: Digest of the library, lower-case hex.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class EngineManifest:
    """What an engine was built from, with and for.

    Attributes:
        product: "tensorrt" or "tensorrt-rtx".
        version: Of the product, such as "10.3.0.30".
        compute_capabilities: GPUs it was built for, such as ("8.7",).
        gpu_name: The GPU it was built on; None for an engine that was built without one.
        precision: "fp32", "fp16", "bf16" or "int8".
        plugins: Plugins that it calls; empty for an engine without.
        onnx_sha256: Digest of the ONNX file it was built from.
        ranges: Where INT8 ranges came from, with the images' digest; None without calibration.
        version_compatible: Whether later versions of the same major number may run it.
        hardware_compatibility: One of ``HARDWARE_COMPATIBILITIES``.
        build_arguments: Of the command that built it, less ``--target`` and ``--target-sm``.

    Raises:
        ContractError: On creation, if a name is none of those above.
    """

    product: str
    version: str
    compute_capabilities: tuple[str, ...]
    gpu_name: str | None
    precision: str
    plugins: tuple[PluginRecord, ...]
    onnx_sha256: str
    ranges: str | None
    version_compatible: bool
    hardware_compatibility: str
    build_arguments: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the values that are names."""
        if self.product not in PRODUCTS:
            raise ContractError(f"product is {self.product!r}; expected one of {(*PRODUCTS,)}")
        if self.hardware_compatibility not in HARDWARE_COMPATIBILITIES:
            raise ContractError(
                f"hardware_compatibility is {self.hardware_compatibility!r}; expected one of "
                f"{HARDWARE_COMPATIBILITIES}"
            )


@dataclass(frozen=True)
class EngineHost:
    """The machine that is to run an engine.

    Attributes:
        product: The TensorRT that was loaded: "tensorrt" or "tensorrt-rtx".
        version: Its version; fewer than four numbers where the module tells no more.
        compute_capability: Of the GPU, such as "8.7".
        gpu_name: The GPU's name, None where the driver does not tell.
        plugins: What the plugin library offers here; empty without one.
    """

    product: str
    version: str
    compute_capability: str
    gpu_name: str | None = None
    plugins: tuple[PluginRecord, ...] = ()


@dataclass(frozen=True)
class EngineHeader:
    """What the first 64 bytes of an engine tell.

    Attributes:
        product: "tensorrt" or "tensorrt-rtx".
        version: Four numbers, such as "1.7.1.116".
        compute_capabilities: GPUs of a TensorRT-RTX engine; empty for the full TensorRT.
        size_bytes: Size of a complete TensorRT-RTX engine; None for the full TensorRT.
    """

    product: str
    version: str
    compute_capabilities: tuple[str, ...] = ()
    size_bytes: int | None = None


def parse_header(header: bytes) -> EngineHeader:
    """Read the start of an engine.

    Args:
        header: The first 64 bytes or more.

    Raises:
        ArtifactError: If they are fewer, or not those of an engine.
    """
    if len(header) < HEADER_BYTES or header[:4] not in _MAGIC:
        raise ArtifactError(
            f"the file starts with {header[:4]!r} and has {len(header)} bytes to look at; expected "
            f"{HEADER_BYTES} that start with {' or '.join(map(repr, _MAGIC))}; it is cut short or "
            "no engine; build again: make engine"
        )
    product = _MAGIC[header[:4]]
    version = ".".join(map(str, header[_VERSION_AT : _VERSION_AT + 4]))
    if product == "tensorrt":
        return EngineHeader(product, version)
    (size,) = struct.unpack_from("<Q", header, _SIZE_AT)
    (mask,) = struct.unpack_from("<I", header, _GPUS_AT)
    gpus = tuple(name for bit, name in enumerate(RTX_CAPABILITIES) if mask & 1 << bit)
    return EngineHeader(product, version, gpus, size)


def read_header(engine: Path) -> bytes:
    """Return the first 64 bytes of an engine's file, for ``check_engine``.

    Raises:
        ArtifactError: If the file is missing, no engine, or shorter than its header says.
    """
    if not engine.is_file():
        raise ArtifactError(f"no file at {engine}; expected an engine; build one: make engine")
    with engine.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    try:
        expected = parse_header(header).size_bytes
    except ArtifactError as error:
        raise ArtifactError(f"{engine}: {error}") from None
    got = engine.stat().st_size
    if expected is not None and got != expected:
        raise ArtifactError(
            f"{engine} has {got} bytes; expected {expected}, as its header says; it is cut short "
            "or was added to; build again: make engine"
        )
    return header


def check_engine(manifest: EngineManifest, header: bytes, host: EngineHost) -> None:
    """Refuse an engine that this machine cannot run, before TensorRT sees it.

    Args:
        manifest: The section ``engine`` of its contract.
        header: Its first 64 bytes, from ``read_header``.
        host: The machine.

    Raises:
        ArtifactError: With the first reason found and the command that builds a fitting engine.
    """
    found = parse_header(header)
    reason = (
        _product_reason(manifest, found, host)
        or _version_reason(manifest, found, host)
        or _gpu_reason(manifest, found, host)
    )
    if reason:
        raise ArtifactError(f"{reason}; build it again here: {rebuild_command(manifest, host)}")
    if reason := _plugin_reason(manifest, host):
        raise ArtifactError(reason)


def rebuild_command(manifest: EngineManifest, host: EngineHost) -> str:
    """Return the command that builds the same model for this machine."""
    product = host.product
    if product == "tensorrt-rtx" and host.compute_capability not in RTX_CAPABILITIES:
        product = "tensorrt"  # TensorRT-RTX builds for no such GPU
    words = ["python", "-m", "export.build_engine", *manifest.build_arguments]
    words += ["--target", product]
    if product == "tensorrt-rtx":
        words += ["--target-sm", host.compute_capability.replace(".", "")]
    return shlex.join(words)


def same_version(one: str, other: str) -> bool:
    """Compare as many numbers as both versions have; JetPack's module tells three of four."""
    pairs = zip(_numbers(one), _numbers(other), strict=False)
    return all(a == b for a, b in pairs)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (10, 3, 0) of "10.3.0.post1"."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found.group().split("."))) if found else ()


def _product_reason(manifest: EngineManifest, found: EngineHeader, host: EngineHost) -> str:
    if found.product != manifest.product:
        return (
            f"the file is an engine of {PRODUCTS[found.product]}, its contract speaks of "
            f"{PRODUCTS[manifest.product]}"
        )
    if manifest.product != host.product:
        return (
            f"the engine is for {PRODUCTS[manifest.product]}; here is {PRODUCTS[host.product]}, "
            "and neither runs the other's engines"
        )
    return ""


def _version_reason(manifest: EngineManifest, found: EngineHeader, host: EngineHost) -> str:
    if not same_version(found.version, manifest.version):
        return (
            f"the file is an engine of version {found.version}, its contract says "
            f"{manifest.version}"
        )
    if same_version(manifest.version, host.version):
        return ""
    built, here = _numbers(manifest.version), _numbers(host.version)
    name = PRODUCTS[manifest.product]
    if not manifest.version_compatible:
        return (
            f"the engine was built with {name} {manifest.version}, here is {host.version}; "
            "expected the same version, as it was not built with --version-compatible"
        )
    if built[0] == here[0] and built <= here:
        return ""
    return (
        f"the engine was built with {name} {manifest.version}, here is {host.version}; a "
        f"version-compatible engine runs on later versions with the same first number ({built[0]})"
    )


def _gpu_reason(manifest: EngineManifest, found: EngineHeader, host: EngineHost) -> str:
    built = manifest.compute_capabilities
    if found.compute_capabilities and set(found.compute_capabilities) != set(built):
        return (
            f"the file is an engine for GPUs of compute capability "
            f"{', '.join(found.compute_capabilities)}, its contract says {', '.join(built)}"
        )
    if manifest.hardware_compatibility == "ampere-plus":
        if tuple(map(int, host.compute_capability.split("."))) >= _AMPERE:
            return ""
        built = ("8.0 or later",)
    elif host.compute_capability in built:
        other_model = None not in (manifest.gpu_name, host.gpu_name) and (
            manifest.gpu_name != host.gpu_name and manifest.hardware_compatibility == "none"
        )
        if not other_model:
            return ""
        return (
            f"the engine was built on {manifest.gpu_name}, here is {host.gpu_name}; TensorRT "
            "supports no engine of another model of GPU, unless it was built with "
            "--hardware-compatibility same-compute-capability"
        )
    return (
        f"the engine was built for GPUs of compute capability {', '.join(built)}; this one "
        f"({host.gpu_name or 'unnamed'}) has {host.compute_capability}"
    )


def _plugin_reason(manifest: EngineManifest, host: EngineHost) -> str:
    """Return what is wrong with the plugins; here a library may mend it, not only a build."""
    here = {plugin.name: plugin for plugin in host.plugins}
    again = f"build the engine again: {rebuild_command(manifest, host)}"
    for wanted in manifest.plugins:
        got = here.get(wanted.name)
        if got is None:
            return (
                f"the engine calls the plugin {wanted.name}, and no plugin library here has it; "
                "build the library: make plugins, or name it in CORNERRT_PLUGINS"
            )
        if got.version != wanted.version:
            return (
                f"the engine calls plugin {wanted.name} version {wanted.version}, the library here "
                f"has version {got.version}; build the library: make plugins, then {again}"
            )
        if got.sha256 != wanted.sha256:
            return (
                f"the library of plugin {wanted.name} has SHA-256 {got.sha256[:12]}, the engine "
                f"was built with {wanted.sha256[:12]}; put that library back, or {again}"
            )
    return ""
