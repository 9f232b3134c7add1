"""Whatever our code asks of TensorRT's Python module exists in every version, or is asked for.

tests/data/trt_api/presence.json says which names the real bindings of each version have. The test
reads our sources: an attribute of a TensorRT object must be in all versions, or stand in a function
that asks with ``hasattr`` for it or for something that only the same versions have.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.tensorrt_api import PRESENCE, VERSIONS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("plugins", "runtime", "export", "calibration", "benchmarks", "detectors")
# Files that hold TensorRT objects say so by one of these.
HOLDS_TENSORRT = re.compile(
    r"\bapi\.[A-Z]|\b_?api\.get_|IRuntimeConfig|INetworkDefinition|IExecution"
)
EVERYWHERE = "x" * len(VERSIONS)
MODULE = "module"


@dataclass(frozen=True)
class Names:
    """What the variables of one file hold.

    Attributes:
        classes: TensorRT's class by name of the variable or attribute.
        only_with: A class of the module without which the file is never used; "" for none.
    """

    classes: dict[str, str] = field(default_factory=dict)
    only_with: str = ""


FILES = {
    "export/tensorrt_compiler.py": Names(
        {
            "_builder": "Builder",
            "config": "IBuilderConfig",
            "network": "INetworkDefinition",
            "parser": "OnnxParser",
            "e": "ParserError",
            "profile": "IOptimizationProfile",
            "tensor": "ITensor",
            "earlier": "ITimingCache",
            "level": "HardwareCompatibilityLevel",
        }
    ),
    "export/engine_report.py": Names(
        {"network": "INetworkDefinition", "tensor": "ITensor", "maker": "ILayer", "layer": "ILayer"}
    ),
    "export/builder_tensorrt.py": Names(
        {"runtime": "Runtime", "loaded": "ICudaEngine", "inspector": "EngineInspector"}
    ),
    "export/build_progress.py": Names(),
    "plugins/library.py": Names(
        {"registry": "IPluginRegistry", "c": "IPluginCreatorV3One", "logger": "ILogger"}
    ),
    "runtime/jit_cache.py": Names(
        {"config": "IRuntimeConfig", "_cache": "IRuntimeCache"}, only_with="IRuntimeCache"
    ),
    "runtime/tensorrt_engine.py": Names(
        {"_runtime": "Runtime", "_engine": "ICudaEngine", "config": "IRuntimeConfig"}
    ),
    "runtime/layer_profile_tensorrt.py": Names(
        {
            "_engine": "ICudaEngine",
            "_context": "IExecutionContext",
            "inspector": "EngineInspector",
            "config": "IRuntimeConfig",
        }
    ),
    "runtime/trt_log.py": Names(),
    "runtime/tensorrt_session.py": Names({"_context": "IExecutionContext"}),
}
# Attributes of our own objects that stand in a variable with one of the names above.
OURS = {"export/engine_report.py": {"convolves_in", "kind", "input_types"}}


def presence_of(owner: str, name: str) -> str:
    """Return one letter per version, "x" where ``owner`` has ``name``."""
    if owner != MODULE:
        groups = PRESENCE["classes"].get(owner, {})
        return next((p for p, names in groups.items() if name in names), "." * len(VERSIONS))
    if name in PRESENCE["functions"]:
        return str(PRESENCE["functions"][name])
    groups = PRESENCE["classes"].get(name, {})
    columns = zip(*groups, strict=True) if groups else ["."] * len(VERSIONS)
    return "".join("x" if "x" in column else "." for column in columns)


def implies(one: str, other: str) -> bool:
    """Say whether every version that has one thing has the other."""
    return all(b == "x" for a, b in zip(one, other, strict=True) if a == "x")


def owner_of(node: ast.expr, names: Names) -> str | None:
    """Return what an expression holds: the module, a class of it, or None for anything else."""
    if isinstance(node, ast.Name):
        return MODULE if node.id == "api" else names.classes.get(node.id)
    if isinstance(node, ast.Call):
        return owner_of(node.func, names)
    if isinstance(node, ast.Attribute):
        if node.attr in ("api", "_api"):
            return MODULE
        if owner_of(node.value, names) == MODULE:
            return node.attr if node.attr in PRESENCE["classes"] else None
        return names.classes.get(node.attr)
    return None


def guards_in(function: ast.AST, names: Names) -> list[str]:
    """Return the presence of everything that a function asks for with ``hasattr``."""
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "hasattr":
            thing, name = node.args
            owner = owner_of(thing, names)
            if owner is not None and isinstance(name, ast.Constant):
                found.append(presence_of(owner, str(name.value)))
    return found


def violations(path: str, source: str, names: Names) -> list[str]:
    """Return what a file takes for granted although some versions lack it, a line each."""
    always = [presence_of(MODULE, names.only_with)] if names.only_with else []
    wrong: list[str] = []

    def visit(node: ast.AST, guards: list[str]) -> None:
        if isinstance(node, ast.FunctionDef):
            guards = always + guards_in(node, names)
        if isinstance(node, ast.Attribute) and not node.attr.startswith("__"):
            owner = owner_of(node.value, names)
            if owner is not None and node.attr not in OURS.get(path, ()):
                has = presence_of(owner, node.attr)
                if not any(implies(guard, has) for guard in [EVERYWHERE, *guards]):
                    lacking = [v for v, x in zip(VERSIONS, has, strict=True) if x != "x"]
                    wrong.append(
                        f"{path}:{node.lineno} {owner}.{node.attr} is not in {', '.join(lacking)}"
                    )
        for child in ast.iter_child_nodes(node):
            visit(child, guards)

    visit(ast.parse(source), always)
    return wrong


def test_nothing_is_taken_for_granted() -> None:
    wrong = []
    for path, names in FILES.items():
        wrong += violations(path, (ROOT / path).read_text("utf-8"), names)
    assert not wrong, "\n".join(wrong)


def test_every_file_that_holds_tensorrt_is_read() -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    holding = {
        path.relative_to(ROOT).as_posix()
        for path in sources
        if HOLDS_TENSORRT.search(path.read_text("utf-8"))
    }
    assert holding and holding <= set(FILES), f"say in FILES what {holding - set(FILES)} hold"


def test_every_declared_name_occurs_and_its_class_is_real() -> None:
    for path, names in FILES.items():
        text = (ROOT / path).read_text("utf-8")
        for variable, owner in names.classes.items():
            assert re.search(rf"\b{variable}\b", text), f"{path} has no {variable}"
            assert owner in PRESENCE["classes"], owner


COMPILER = FILES["export/tensorrt_compiler.py"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("config.set_flag(api.BuilderFlag.FP16)", r"BuilderFlag\.FP16 is not in 11\.0"),
        ("self._builder.platform_has_fast_int8", r"Builder\.platform_has_fast_int8 is not in 11"),
        ("config.set_compute_capability(1, 0)", r"set_compute_capability is not in 10\.3\.0"),
        ("api.IStreamWriter()", r"module\.IStreamWriter is not in 10\.3\.0, 10\.7\.0$"),
        ("trt.api.ComputeCapability.SM86", r"ComputeCapability\.SM86 is not in"),
        ("network.add_plugin_v3([], [], None)", r"add_plugin_v3 is not in rtx-1\.7\.1$"),
        ("config.bulider_optimization_level = 3", "bulider_optimization_level is not in 10.3"),
        (
            "if hasattr(config, 'set_flag'): config.set_compute_capability(1, 0)",
            "set_compute_capability is not in",
        ),
    ],
)
def test_planted_mistakes_are_found(line: str, message: str) -> None:
    source = f"def f(self, api, trt, config, network):\n    {line}\n"
    found = violations("export/x.py", source, COMPILER)
    assert found and re.search(message, found[0]), found


@pytest.mark.parametrize(
    "line",
    [
        "config.set_flag(api.BuilderFlag.TF32)",
        "config.builder_optimization_level = 3",
        "if hasattr(config, 'set_compute_capability'): config.set_compute_capability(1, 0)",
        # What only the same version has is guarded as well.
        "if hasattr(api, 'CudaGraphStrategy'): config.num_compute_capabilities = 1",
        "other.set_compute_capability",
        "level.AMPERE_PLUS",
    ],
)
def test_what_every_version_has_or_is_asked_for(line: str) -> None:
    source = f"def f(self, api, config, level, other):\n    {line}\n"
    assert violations("export/x.py", source, COMPILER) == []


def test_a_guard_holds_for_its_function_only() -> None:
    source = (
        "def f(config):\n    return hasattr(config, 'set_compute_capability')\n"
        "def g(config):\n    config.set_compute_capability(1, 0)\n"
    )
    (found,) = violations("export/x.py", source, COMPILER)
    assert found.startswith("export/x.py:4 ")
