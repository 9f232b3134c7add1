"""What is kept beside an engine of TensorRT-RTX."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.jit_cache import JitCache, jit_cache_path


class Config:
    """An ``IRuntimeConfig`` whose cache ends with given content."""

    def __init__(self, compiled: bytes) -> None:
        self.offered: list[bytes] = []
        self.cache: Any = None
        self._compiled = compiled

    def create_runtime_cache(self) -> SimpleNamespace:
        return SimpleNamespace(
            deserialize=self.offered.append, serialize=lambda: memoryview(self._compiled)
        )

    def set_runtime_cache(self, cache: Any) -> None:
        self.cache = cache


def test_the_first_start_writes_and_the_second_reads(tmp_path: Path) -> None:
    engine = tmp_path / "tiny.engine"
    first = Config(b"kernels")
    JitCache(first, engine).save()
    assert first.offered == [] and first.cache is not None
    assert jit_cache_path(engine).read_bytes() == b"kernels"
    second = Config(b"kernels")
    JitCache(second, engine)
    assert second.offered == [b"kernels"]


def test_the_file_is_written_only_when_something_is_new(tmp_path: Path) -> None:
    engine = tmp_path / "tiny.engine"
    cache = JitCache(Config(b"kernels"), engine)
    cache.save()
    jit_cache_path(engine).unlink()
    cache.save()
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_had_is_no_error(tmp_path: Path) -> None:
    config = Config(b"")
    cache = JitCache(config, tmp_path / "tiny.engine")
    config.cache.serialize = lambda: None
    cache.save()
    assert list(tmp_path.iterdir()) == []


def test_a_cache_of_another_gpu_is_replaced(tmp_path: Path) -> None:
    engine = tmp_path / "tiny.engine"
    jit_cache_path(engine).write_bytes(b"foreign")
    JitCache(Config(b"kernels"), engine).save()
    assert jit_cache_path(engine).read_bytes() == b"kernels"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.engine.jit-cache"]


def test_a_folder_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, data: bytes) -> int:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    JitCache(Config(b"kernels"), tmp_path / "tiny.engine").save()
    assert list(tmp_path.iterdir()) == []
