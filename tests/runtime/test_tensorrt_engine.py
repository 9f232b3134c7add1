"""Engines that do not fit, are damaged, or call plugins: refused before or by TensorRT."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plugins.library
from runtime import letterbox_gpu
from runtime.contract import TensorSpec, read_contract, write_contract
from runtime.errors import ArtifactError, BackendError, ContractError
from runtime.jit_cache import jit_cache_path
from runtime.manifest import PluginRecord
from runtime.trt_module import load_tensorrt_rtx
from tests.builders import TINY_CONTRACT
from tests.fakes.cuda_driver import MEBIBYTE, FakeDriver
from tests.fakes.fake_tensorrt import (
    TINY,
    FakeTensorRT,
    brightness,
    grey,
    new_backend,
    write_tiny_engine,
)
from tests.fakes.tensorrt_api import VERSIONS, members
from tests.runtime.test_trt_module import INSTALLED as RTX_INSTALLED

Install = Callable[[FakeDriver], FakeDriver]

pytestmark = [
    pytest.mark.usefixtures("no_library"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compute_capabilities": ("8.7",)}, r"compute capability 8\.7; this one \(Fake GPU\)"),
        ({"version": "10.13.3.9"}, "10.3.0.30, its contract says 10.13.3.9"),
        ({"gpu_name": "Orin"}, "built on Orin, here is Fake GPU"),
    ],
)
def test_an_engine_of_another_machine_never_reaches_tensorrt(
    driver: FakeDriver, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine", **changes)
    with pytest.raises(ArtifactError, match=message) as raised:
        new_backend(FakeTensorRT(driver)).open(engine)
    assert str(raised.value).startswith(str(engine))
    assert "export.build_engine" in str(raised.value)
    assert driver.is_empty and "allocate" not in driver.calls


def test_an_engine_of_the_other_product(driver: FakeDriver, tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine", "tensorrt-rtx")
    with pytest.raises(ArtifactError, match="is for TensorRT-RTX; here is TensorRT"):
        new_backend(FakeTensorRT(driver, "tensorrt")).open(engine)
    assert "allocate" not in driver.calls


def test_an_engine_that_tensorrt_refuses_names_its_reason(
    driver: FakeDriver, tmp_path: Path
) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine", plan=b"garbage")
    message = r"tensorrt 10\.3\.0\.30 refused .*\(Error Code 1: Serialization.*make engine"
    with pytest.raises(ArtifactError, match=message) as raised:
        new_backend(FakeTensorRT(driver)).open(engine)
    assert "only information" not in str(raised.value)
    assert driver.is_empty


@pytest.mark.skipif(not RTX_INSTALLED, reason="TensorRT-RTX is not installed: pip install .[rtx]")
def test_the_real_tensorrt_rtx_refuses_garbage_in_one_line(
    driver: FakeDriver, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from runtime.backend_tensorrt import TensorRTBackend

    trt = load_tensorrt_rtx()
    version = {"version": trt.version} if trt.version != "1.7.1.116" else {}
    engine = write_tiny_engine(tmp_path / "x.engine", "tensorrt-rtx", b"garbage" * 40, **version)
    with pytest.raises(ArtifactError, match=r"tensorrt-rtx .* refused .*build again") as raised:
        TensorRTBackend(trt).open(engine)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_no_engine(driver: FakeDriver, engine: Path) -> None:

    contract = read_contract(engine)
    engine.write_bytes(b"not an engine" * 20)
    write_contract(contract, engine)
    with pytest.raises(ArtifactError, match=r"tiny\.engine: the file starts with b'not '"):
        new_backend(FakeTensorRT(driver)).open(engine)


def test_an_engine_that_is_cut_short(driver: FakeDriver, engine: Path) -> None:
    engine.write_bytes(engine.read_bytes()[:-3])
    with pytest.raises(ContractError, match="cut short"):
        new_backend(FakeTensorRT(driver)).open(engine)


def test_a_contract_without_a_section_for_the_engine(driver: FakeDriver, tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine", contract={"engine": None})
    with pytest.raises(ContractError, match=r"has no section 'engine'; .*make engine"):
        new_backend(FakeTensorRT(driver)).open(engine)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"inputs": (TensorSpec("images", "uint8", ("N", 64, 64, 3)),)}, r"inputs \['images'\]"),
        ({"inputs": (TensorSpec("frames", "float32", ("N", 64, 64, 3)),)}, "'frames' is FLOAT"),
        ({"inputs": (TensorSpec("frames", "uint8", ("N", 32, 64, 3)),)}, r"\(-1, 32, 64, 3\)"),
        ({"outputs": TINY_CONTRACT.outputs[:3]}, "has outputs"),
        (
            {"outputs": (*TINY_CONTRACT.outputs[:3], TensorSpec("corner_scores", "float16", (3,)))},
            "output 'corner_scores' is HALF",
        ),
    ],
)
def test_an_engine_with_other_tensors_than_its_contract(
    driver: FakeDriver, engine: Path, tensors: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message + ".*as its contract says"):
        new_backend(FakeTensorRT(driver, **tensors)).open(engine)
    assert driver.is_empty


def test_tensorrt_rtx_makes_its_own_graphs_and_keeps_its_kernels(
    driver: FakeDriver, tmp_path: Path
) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine", "tensorrt-rtx")
    fake = FakeTensorRT(driver, "tensorrt-rtx")
    for offered in ([], [b"compiled kernels"]):
        backend = new_backend(fake)
        backend.open(engine)
        backend.close()
        assert fake.accepted_caches == offered
    assert "begin_capture" not in driver.calls
    assert jit_cache_path(engine).read_bytes() == b"compiled kernels"


def test_two_cameras_share_one_engine(driver: FakeDriver, engine: Path) -> None:
    first = new_backend(FakeTensorRT(driver))
    first.open(engine)
    before = driver.free_bytes
    second = first.another()
    taken = before - driver.free_bytes
    assert MEBIBYTE <= taken < 2 * MEBIBYTE  # a context and buffers, no second set of weights
    results: dict[int, list[int]] = {}

    def camera(backend: Any, start: int) -> None:
        values = range(start, start + 40)
        results[start] = [brightness(backend.infer(grey(value))) for value in values]

    threads = [threading.Thread(target=camera, args=each) for each in ((first, 0), (second, 100))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {0: list(range(40)), 100: list(range(100, 140))}
    first.close()
    assert brightness(second.infer(grey(9))) == 9
    with pytest.raises(BackendError, match="call open"):
        first.another()
    third = second.another()
    assert brightness(third.infer(grey(11))) == 11
    second.close()
    third.close()
    assert driver.is_empty


@pytest.mark.parametrize("version_compatible", [False, True])
def test_only_a_version_compatible_engine_may_bring_code(
    driver: FakeDriver, tmp_path: Path, version_compatible: bool
) -> None:
    changes = {"version_compatible": version_compatible}
    engine = write_tiny_engine(tmp_path / "tiny.engine", **changes)
    fake = FakeTensorRT(driver)
    backend = new_backend(fake)
    backend.open(engine)
    backend.close()
    assert fake.host_code_allowed is version_compatible


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_asked_of_tensorrt_that_a_version_lacks(
    driver: FakeDriver, version: str
) -> None:
    """The fakes have only what the tests above need; every version must have all of it."""
    from runtime.cuda_memory import open_device

    product = "tensorrt-rtx" if version.startswith("rtx") else "tensorrt"
    with open_device().current():
        names = names_of_the_fakes(FakeTensorRT(driver, product))
    if product == "tensorrt":
        names["ICudaEngine"].discard("create_runtime_config")  # only beside CudaGraphStrategy
    for name, used in names.items():
        assert used and used <= members(version, name)


def names_of_the_fakes(fake: FakeTensorRT) -> dict[str, set[str]]:
    runtime = fake.module().api.Runtime(None)
    engine = runtime.deserialize_cuda_engine(bytes(64) + TINY)
    objects = {"Runtime": runtime, "ICudaEngine": engine}
    arguments = []
    if fake.product == "tensorrt-rtx":
        objects["IRuntimeConfig"] = config = engine.create_runtime_config()
        objects["IRuntimeCache"] = config.create_runtime_cache()
        config.cuda_graph_strategy = "whole"
        config.set_runtime_cache(objects["IRuntimeCache"])
        arguments = [config]
    objects["IExecutionContext"] = engine.create_execution_context(*arguments)
    return {
        name: {n for n in (*vars(thing), *vars(type(thing))) if not n.startswith("_")}
        for name, thing in objects.items()
    }


# --- plugins

PLUGIN = PluginRecord("CornerPool", "1", hashlib.sha256(b"library").hexdigest())


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin library that a registry would take; nothing here may run it."""
    path = tmp_path / "plugins.so"
    path.write_bytes(b"library")
    monkeypatch.setattr(plugins.library, "find_library", lambda: path)
    monkeypatch.setattr(letterbox_gpu, "LetterboxKernel", lambda library: None)
    return path


def test_an_engines_plugins_are_loaded_before_it(
    driver: FakeDriver, tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []

    def load(api: Any, logger: Any, path: Path) -> None:
        assert "allocate" not in driver.calls
        loaded.append(path)

    monkeypatch.setattr(plugins.library, "load_plugins", load)
    backend = new_backend(FakeTensorRT(driver))
    backend.open(write_tiny_engine(tmp_path / "tiny.engine", plugins=(PLUGIN,)))
    backend.close()
    assert loaded == [library]


def test_an_engine_without_plugins_loads_none(
    driver: FakeDriver, engine: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins.library, "load_plugins", None)
    backend = new_backend(FakeTensorRT(driver))
    backend.open(engine)
    backend.close()


def test_a_missing_library_is_named(driver: FakeDriver, tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine", plugins=(PLUGIN,))
    with pytest.raises(ArtifactError, match=r"calls the plugin CornerPool.*make plugins"):
        new_backend(FakeTensorRT(driver)).open(engine)


def test_a_changed_library_is_never_run(
    driver: FakeDriver, tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine", plugins=(PLUGIN,))
    library.write_bytes(b"tampered")
    monkeypatch.setattr(plugins.library, "load_plugins", None)
    monkeypatch.setattr(letterbox_gpu, "LetterboxKernel", None)
    with pytest.raises(ArtifactError, match=r"library of plugin CornerPool has SHA-256 .*put that"):
        new_backend(FakeTensorRT(driver)).open(engine)


def test_a_library_that_tensorrt_does_not_take(
    driver: FakeDriver, tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise plugins.library.PluginError("tensorrt did not take CornerPool; build it again")

    monkeypatch.setattr(plugins.library, "load_plugins", refuse)
    engine = write_tiny_engine(tmp_path / "tiny.engine", plugins=(PLUGIN,))
    with pytest.raises(BackendError, match="did not take CornerPool; build it again"):
        new_backend(FakeTensorRT(driver)).open(engine)
