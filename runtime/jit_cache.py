"""Kernels that TensorRT-RTX compiled on this GPU, kept beside the engine for the next start."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from runtime.atomic_file import replace_when_done


def jit_cache_path(artifact: Path) -> Path:
    """Return where the kernels compiled for ``artifact`` lie."""
    return artifact.with_name(artifact.name + ".jit-cache")


class JitCache:
    """The runtime cache of one engine.

    A file of another GPU, version or driver is not an error: TensorRT-RTX refuses it, compiles
    again, and the file is replaced.

    Args:
        config: TensorRT-RTX's ``IRuntimeConfig``, before a context is made with it.
        artifact: The engine.
    """

    def __init__(self, config: Any, artifact: Path) -> None:
        self._path = jit_cache_path(artifact)
        self._cache = config.create_runtime_cache()
        self._stored = self._path.read_bytes() if self._path.is_file() else b""
        if self._stored:
            self._cache.deserialize(self._stored)
        config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Write what was compiled since the start, if anything; a read-only folder is no error."""
        serialized = self._cache.serialize()
        compiled = b"" if serialized is None else bytes(serialized)  # null: TensorRT-RTX refused
        if compiled in (b"", self._stored):
            return
        with contextlib.suppress(OSError), replace_when_done(self._path) as partial:
            partial.write_bytes(compiled)
            self._stored = compiled
