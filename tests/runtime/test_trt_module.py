"""Finding TensorRT: installed, missing, half installed or broken."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime import trt_module
from runtime.errors import BackendError

INSTALLED = all(
    importlib.util.find_spec(name)
    for name in ("tensorrt_rtx_bindings", trt_module.RTX_LIBRARIES_PACKAGE)
)


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the import system not find some packages."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in names else real(name, *a)
    )


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, module: str, body: str) -> None:
    """Put a module of one file on the import path."""
    (folder / f"{module}.py").write_text(body)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.mark.skipif(not INSTALLED, reason="TensorRT-RTX is not installed: pip install .[rtx]")
def test_bundled_libraries_load_without_any_environment() -> None:
    loaded = trt_module.load_tensorrt_rtx()
    assert loaded.product == "tensorrt-rtx"
    assert loaded.version == loaded.api.__version__
    assert hasattr(loaded.api, "Builder") and hasattr(loaded.api, "OnnxParser")


def test_nvidias_own_package_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "tensorrt_rtx", "__version__ = '9.8.7'")
    loaded = trt_module.load_tensorrt_rtx()
    assert (loaded.version, loaded.product) == ("9.8.7", "tensorrt-rtx")


@pytest.mark.parametrize("missing", ["tensorrt_rtx_bindings", trt_module.RTX_LIBRARIES_PACKAGE])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    hide(monkeypatch, "tensorrt_rtx", missing)
    with pytest.raises(BackendError, match=r"no module .*pip install --editable '\.\[rtx\]'"):
        trt_module.load_tensorrt_rtx()


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "empty_package.py"
    install(monkeypatch, tmp_path, package.stem, "")
    monkeypatch.setattr(trt_module, "RTX_LIBRARIES_PACKAGE", package.stem)
    install(monkeypatch, tmp_path, "tensorrt_rtx_bindings", "")
    hide(monkeypatch, "tensorrt_rtx")
    with pytest.raises(BackendError, match=r"has no libcudart\.so\.13\*"):
        trt_module.load_tensorrt_rtx()


def test_a_damaged_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "damaged_package", "")
    (tmp_path / "libcudart.so.13.0").write_bytes(b"not a library")
    monkeypatch.setattr(trt_module, "RTX_LIBRARIES_PACKAGE", "damaged_package")
    install(monkeypatch, tmp_path, "tensorrt_rtx_bindings", "")
    hide(monkeypatch, "tensorrt_rtx")
    with pytest.raises(BackendError, match=r"libcudart\.so\.13\.0 does not load"):
        trt_module.load_tensorrt_rtx()


def test_the_full_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "tensorrt", "__version__ = '10.3.0'")
    loaded = trt_module.load_tensorrt()
    assert (loaded.version, loaded.product) == ("10.3.0", "tensorrt")


def test_the_full_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "tensorrt")
    with pytest.raises(BackendError, match=r"TensorRT is not installed.*python3-libnvinfer"):
        trt_module.load_tensorrt()


def test_a_package_whose_libraries_do_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "tensorrt", "raise ImportError('libnvinfer.so.10: not found')")
    with pytest.raises(BackendError, match=r"does not load \(libnvinfer\.so\.10: not found\)"):
        trt_module.load_tensorrt()


def fake_driver(init: int = 0, capability: tuple[int, int] = (8, 6)) -> SimpleNamespace:
    """A CUDA driver with one GPU."""
    answers = {75: capability[0], 76: capability[1]}

    def attribute(pointer: object, number: int, device: object) -> int:
        pointer._obj.value = answers[number]  # type: ignore[attr-defined]
        return 0

    def name(buffer: object, size: int, device: object) -> int:
        buffer.value = b"Orin"  # type: ignore[attr-defined]
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: init,
        cuDeviceGet=lambda *a: 0,
        cuDeviceGetAttribute=attribute,
        cuDeviceGetName=name,
    )


def test_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake_driver(capability=(8, 7)))
    assert trt_module.find_gpu() == trt_module.Gpu("Orin", "8.7")


@pytest.mark.parametrize("call", ["cuDeviceGet", "cuDeviceGetAttribute", "cuDeviceGetName"])
def test_a_driver_whose_calls_fail(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    driver = fake_driver()
    setattr(driver, call, lambda *arguments: 999)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert trt_module.find_gpu() is None


@pytest.mark.parametrize("product", ["tensorrt", "tensorrt-rtx"])
def test_products_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, product: str) -> None:
    install(monkeypatch, tmp_path, product.replace("-", "_"), "__version__ = '1.2.3'")
    loaded = trt_module.load_product(product)
    assert (loaded.product, loaded.version) == (product, "1.2.3")


def test_a_driver_without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake_driver(init=100))
    assert trt_module.find_gpu() is None


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert trt_module.find_gpu() is None


def test_importing_the_module_imports_no_tensorrt() -> None:
    code = (
        "import sys, runtime.trt_module;"
        "sys.exit(any('tensorrt' in name or 'onnx' in name for name in sys.modules))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
