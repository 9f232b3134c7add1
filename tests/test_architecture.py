"""The rules that keep the packages apart, and proof that breaking one is noticed."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Each package may import itself and those before it.
ORDER = ("plugins", "runtime", "detectors", "export", "calibration", "benchmarks")
NEVER_IN_RUNTIME = frozenset(
    {"accelerate", "faster_coco_eval", "matplotlib", "onnx", "onnxscript", "pycocotools"}
    | {"safetensors", "tensorboard", "torch", "tqdm"}
)
# Libraries that a device may lack, and the one file of runtime/ that may import each at its top.
ONLY_IN = {
    "onnxruntime": {
        "runtime/backend_onnxruntime.py",
        "runtime/layer_profile_onnxruntime.py",
    },
    "tensorrt": {"runtime/trt_module.py"},
    "tensorrt_rtx": {"runtime/trt_module.py"},
    "tensorrt_rtx_bindings": {"runtime/trt_module.py"},
    "pycuda": {"runtime/cuda_memory.py"},
    "trackers": {"runtime/tracker_bytetrack.py"},
    "supervision": {"runtime/tracker_bytetrack.py", "runtime/supervision_adapter.py"},
    "paho": {"runtime/mqtt_connection.py"},
    "prometheus_client": {"runtime/metrics.py"},
    "starlette": {"runtime/web_app.py"},
    "uvicorn": {"runtime/web_server.py"},
    "h11": {"runtime/web_server.py"},
    "pynvml": {"runtime/nvml_monitor.py"},
    "nvtx": {"runtime/nvtx_ranges.py"},
}
# Modules of runtime/ that need such a library at their top: only they and functions import them.
NEEDS_LIBRARY = frozenset(
    {"runtime.backend_onnxruntime", "runtime.backend_tensorrt", "runtime.cuda_memory"}
    | {"runtime.tensorrt_engine", "runtime.tensorrt_session", "runtime.upload_ring"}
    | {"runtime.tracker_bytetrack", "runtime.supervision_adapter", "runtime.mqtt_connection"}
    | {"runtime.metrics", "runtime.web_app", "runtime.web_server", "runtime.nvml_monitor"}
    | {"runtime.layer_profile_onnxruntime", "runtime.layer_profile_tensorrt"}
    | {"runtime.tensorrt_timing"}
)
DEPENDENCIES = frozenset(
    {"accelerate", "cv2", "faster_coco_eval", "matplotlib", "numpy", "onnx", "onnxruntime"}
    | {"onnxscript", "pycocotools", "pycuda", "pytest", "safetensors", "tensorboard", "tensorrt"}
    | {"nvtx", "pynvml", "torch", "tqdm"}
    | {"paho", "prometheus_client", "scipy", "starlette", "supervision", "trackers", "uvicorn"}
)

Import = tuple[str, int, bool]  # module, line, whether at the top of the file


def imports_of(source: str) -> list[Import]:
    """Return the modules that a file imports; a relative import starts with a dot."""
    found: list[Import] = []

    def visit(node: ast.AST, at_top: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, node.lineno, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.append((module, node.lineno, at_top))
            # `from runtime import x` may import the module runtime.x
            found.extend((f"{module}.{alias.name}", node.lineno, at_top) for alias in node.names)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            visit(child, at_top and not inside and not typing_only)

    visit(ast.parse(source), True)
    return found


def violations(path: str, source: str) -> list[str]:
    """Return what one file does wrong, a line each; ``path`` is relative to the repository."""
    package = path.split("/", maxsplit=1)[0]
    allowed = ORDER[: ORDER.index(package) + 1]
    wrong = []
    for module, line, at_top in imports_of(source):
        top = module.split(".", maxsplit=1)[0]
        if module.startswith("."):
            wrong.append(f"{path}:{line} relative import {module}")
        elif top == "tests" or (top in ORDER and top not in allowed):
            wrong.append(f"{path}:{line} {package} imports {module}, which comes after it")
        elif package == "runtime":
            wrong += _runtime_violations(path, module, line, at_top)
    name = Path(path).stem
    if name in sys.stdlib_module_names or name in DEPENDENCIES:
        wrong.append(f"{path} has the name of another module")
    return wrong


def _runtime_violations(path: str, module: str, line: int, at_top: bool) -> list[str]:
    top = module.split(".", maxsplit=1)[0]
    if top in NEVER_IN_RUNTIME:
        return [f"{path}:{line} runtime imports {module}"]
    if top in ONLY_IN and path not in ONLY_IN[top]:
        return [f"{path}:{line} {module} is imported in {', '.join(sorted(ONLY_IN[top]))} only"]
    importer = path.removesuffix(".py").replace("/", ".")
    if module in NEEDS_LIBRARY and at_top and importer not in NEEDS_LIBRARY:
        return [f"{path}:{line} {module} is imported inside a factory function only"]
    return []


def source_files() -> list[str]:
    return [
        path.relative_to(ROOT).as_posix()
        for package in ORDER
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def test_every_file_keeps_the_rules() -> None:
    files = source_files()
    assert {path.split("/")[0] for path in files} == set(ORDER)
    wrong = [line for path in files for line in violations(path, (ROOT / path).read_text("utf-8"))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("runtime/x.py", "import torch", "runtime imports torch"),
        ("runtime/x.py", "from onnx import helper", "runtime imports onnx"),
        ("runtime/x.py", "def f():\n    import torch.nn", "x.py:2 runtime imports torch.nn"),
        ("runtime/x.py", "import detectors.registry", "which comes after it"),
        ("runtime/x.py", "from export import wrapper", "which comes after it"),
        ("plugins/x.py", "from runtime.errors import UsageError", "which comes after it"),
        ("export/x.py", "import calibration", "which comes after it"),
        ("calibration/x.py", "def f():\n    from benchmarks import common", "which comes after it"),
        ("export/x.py", "from tests.builders import picture", "which comes after it"),
        ("detectors/x.py", "from . import losses", "relative import"),
        ("detectors/x.py", "from .losses import focal", "relative import .losses"),
        ("runtime/stream.py", "import onnxruntime", "layer_profile_onnxruntime.py only"),
        ("runtime/x.py", "def f():\n    import tensorrt", "trt_module.py only"),
        ("runtime/x.py", "import pycuda.driver", "cuda_memory.py only"),
        ("runtime/x.py", "from runtime.backend_onnxruntime import A", "factory function only"),
        ("runtime/x.py", "from runtime import backend_onnxruntime", "factory function only"),
        ("runtime/x.py", "from runtime.upload_ring import UploadRing", "factory function only"),
        ("runtime/x.py", "try:\n    import torch\nexcept ImportError:\n    pass", "imports torch"),
        ("runtime/profile.py", "", "has the name of another module"),
        ("export/onnx.py", "", "has the name of another module"),
        ("detectors/types.py", "", "has the name of another module"),
    ],
)
def test_a_planted_violation_is_caught(path: str, source: str, message: str) -> None:
    assert any(message in line for line in violations(path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("runtime/backends.py", "def f():\n    from runtime.backend_onnxruntime import A"),
        ("runtime/backend_onnxruntime.py", "import onnxruntime"),
        ("runtime/upload_ring.py", "from runtime.cuda_memory import Stream"),
        ("runtime/x.py", "import numpy\nimport cv2\nfrom plugins import reference"),
        ("detectors/x.py", "import torch\nfrom runtime.errors import UsageError"),
        ("export/x.py", "from detectors.registry import build_detector\nimport onnx"),
        ("benchmarks/x.py", "import calibration.calibrate\nimport runtime.stream"),
        ("runtime/torchlike.py", "import torchlike"),
    ],
)
def test_what_is_allowed_is_not_caught(path: str, source: str) -> None:
    assert violations(path, source) == []


@pytest.mark.parametrize("package", ORDER)
def test_each_package_is_the_one_of_this_repository(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / package / "__init__.py"


@pytest.mark.parametrize("package", ORDER)
def test_a_packages_init_holds_a_docstring_only(package: str) -> None:
    body = ast.parse((ROOT / package / "__init__.py").read_text("utf-8")).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def test_every_module_of_the_runtime_has_its_test() -> None:
    modules = {path.stem for path in (ROOT / "runtime").glob("*.py")} - {"__init__"}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests/runtime").glob("test_*.py")}
    assert modules - tests == set()
