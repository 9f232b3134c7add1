"""Find the built plugin library, say what it holds, and load it into a TensorRT."""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

LIBRARY_NAME = "libcornerrt_plugins.so"
LIBRARY_VARIABLE = "CORNERRT_PLUGINS"
BUILD_FOLDER = Path(__file__).resolve().parents[1] / "build" / "plugins"

# TensorRT-RTX's parser opens its own library by this name, which is no library's SONAME, when it
# meets the first plugin, and ends the process if it cannot. CMake makes a library of that SONAME
# which only needs the real one; opened beforehand, it is what the parser finds.
RTX_UNVERSIONED = "libtensorrt_rtx.so"
RTX_SHIM = Path("rtx_shim") / RTX_UNVERSIONED

# The fixed part of a 64-bit little-endian ELF file, as <elf.h> lays it out, and how it begins.
ELF64_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
ELF64_MAGIC = b"\x7fELF\x02\x01"

# Digest of the library that each TensorRT module of this process loaded, by the module's name:
# a registry cannot take a second one, and does not say where its plugins came from.
_loaded: dict[str, str] = {}


class PluginError(Exception):
    """The plugin library is missing, damaged, or not taken by TensorRT."""


class PluginName(NamedTuple):
    """What a plugin is registered under.

    Attributes:
        name: The operator, such as "CornerPool".
        version: Attribute ``plugin_version`` of its nodes.
        namespace: Attribute ``plugin_namespace`` of its nodes.
    """

    name: str
    version: str
    namespace: str

    def __str__(self) -> str:
        return " ".join(self)


@dataclass(frozen=True)
class PluginLibrary:
    """A built library.

    Attributes:
        path: The file, absolute.
        sha256: Hexadecimal digest of the file.
        plugins: What it holds.
    """

    path: Path
    sha256: str
    plugins: tuple[PluginName, ...]


def find_library() -> Path | None:
    """Return the plugin library of this machine.

    That is what the environment variable CORNERRT_PLUGINS names, else what ``make plugins`` built;
    None if there is no such file, or the variable is set to nothing.
    """
    named = os.environ.get(LIBRARY_VARIABLE)
    if named == "":
        return None
    path = Path(named) if named is not None else BUILD_FOLDER / LIBRARY_NAME
    return path.absolute() if path.is_file() else None


def hash_library(path: Path) -> str:
    """Return the SHA-256 of a library, without loading it, so that a changed one is never run.

    Raises:
        PluginError: If there is no such file.
    """
    if not path.is_file():
        raise PluginError(f"{path} is no file; expected {LIBRARY_NAME}; build it: make plugins")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def open_library(path: Path) -> ctypes.CDLL:
    """Load a library into the process, unless its end is missing: that would kill the process.

    Raises:
        OSError: If it is cut short, or is no library of this kind of machine.
    """
    got, expected = path.stat().st_size, _size_by_header(path)
    if got < expected:
        raise OSError(f"cut short: {got} bytes of at least {expected}")
    return ctypes.CDLL(str(path.absolute()))


def _size_by_header(path: Path) -> int:
    """Return where the section headers end, the last thing in an ELF file; 0 for other files."""
    with path.open("rb") as stream:
        header = stream.read(ELF64_HEADER.size)
    if len(header) < ELF64_HEADER.size or not header.startswith(ELF64_MAGIC):
        return 0
    *_, start, _, _, _, _, entry_bytes, entries, _ = ELF64_HEADER.unpack(header)
    return int(start) + int(entry_bytes) * int(entries)


def describe_library(path: Path) -> PluginLibrary:
    """Say what a library holds; loads it into the process, but needs no TensorRT and no GPU.

    Raises:
        PluginError: If there is no such file, or it is not our plugin library.
    """
    sha256 = hash_library(path)
    try:
        plugin_name = open_library(path).cornerrt_plugin_name
    except (OSError, AttributeError) as error:
        raise PluginError(
            f"{path} is not CornerRT's plugin library ({error}); expected {LIBRARY_NAME} built on "
            "this kind of machine; build it: make plugins"
        ) from None
    plugin_name.restype = ctypes.POINTER(ctypes.c_char_p * len(PluginName._fields))
    plugins: list[PluginName] = []
    while record := plugin_name(len(plugins)):
        plugins.append(PluginName(*(text.decode() for text in record.contents)))
    return PluginLibrary(path.absolute(), sha256, tuple(plugins))


def load_plugins(api: Any, logger: Any, library: Path) -> PluginLibrary:
    """Make TensorRT know our plugins; a second call, or a preloaded library, is success too.

    Args:
        api: The Python module ``tensorrt`` or ``tensorrt_rtx``.
        logger: The caller's ``ILogger``; is told what was loaded. TensorRT's own messages go to
            the logger of the first builder or runtime of the process.
        library: The file.

    Returns:
        What was loaded.

    Raises:
        PluginError: If the library is missing or damaged, TensorRT does not take it, this process
            already loaded another, or TensorRT-RTX would end the process at the first plugin.
    """
    found = describe_library(library)
    _open_rtx_unversioned(api, found.path)
    if (loaded := _loaded.get(api.__name__)) is not None and loaded != found.sha256:
        raise PluginError(
            f"this process has loaded another plugin library than {library}; expected one for all "
            "engines; start a new process for the other"
        )
    registry = api.get_plugin_registry()
    if _missing(registry, found.plugins):
        registry.load_library(str(found.path))  # returns None on failure, and if there already
    if missing := _missing(registry, found.plugins):
        raise PluginError(
            f"{api.__name__} {api.__version__} did not take {', '.join(map(str, missing))} from "
            f"{library}; expected a library that fits it; build it again on this machine: "
            "make plugins"
        )
    _loaded[api.__name__] = found.sha256
    names = ", ".join(map(str, found.plugins))
    logger.log(api.ILogger.Severity.INFO, f"plugins {names} from {found.path}")
    return found


def _missing(registry: Any, plugins: tuple[PluginName, ...]) -> list[PluginName]:
    """Return those plugins that a registry does not have."""
    present = {(c.name, c.plugin_version, c.plugin_namespace) for c in registry.all_creators}
    return [plugin for plugin in plugins if plugin not in present]


def _open_rtx_unversioned(api: Any, library: Path) -> None:
    """Make TensorRT-RTX's parser find its own library, wherever that was loaded from."""
    if not api.__name__.startswith("tensorrt_rtx"):
        return
    for candidate in (RTX_UNVERSIONED, str(library.parent / RTX_SHIM)):
        try:
            ctypes.CDLL(candidate, mode=ctypes.RTLD_GLOBAL)
            return
        except OSError:
            continue
    raise PluginError(
        f"found neither {RTX_UNVERSIONED} nor {library.parent / RTX_SHIM}; expected one of them, "
        "since TensorRT-RTX ends the process without; build again: make plugins"
    )
