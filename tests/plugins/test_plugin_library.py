"""The built library as a file, and as a program with the full TensorRT's interface meets it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.library import LIBRARY_NAME
from runtime.errors import BackendError
from runtime.trt_module import load_tensorrt_rtx
from tests.plugins.built_library import ARCHITECTURE, FOLDER, cached_path
from tests.plugins.cpu_library import CSRC, ROOT

try:
    load_tensorrt_rtx()
    RTX_MISSING = ""
except BackendError as error:
    RTX_MISSING = str(error)

# Of TensorFormat and DataType, from NvInferRuntimeBase.h.
LINEAR, HWC8, CHW32 = 0, 2, 5
FLOAT, HALF, INT8, INT32, BF16 = 0, 1, 2, 3, 7


def run(*command: str | Path) -> str:
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_it_shows_tensorrts_two_functions_and_our_c_doors_alone(plugin_library: Path) -> None:
    names = {
        line.split()[-1]
        for line in run("nm", "-D", "--defined-only", plugin_library).split("\n")
        if line
    }
    assert {"getCreators", "setLoggerFinder"} <= names
    assert all(n.startswith("cornerrt_") for n in names - {"getCreators", "setLoggerFinder"})
    assert {"cornerrt_corner_pool", "cornerrt_corner_pool_sum", "cornerrt_plugin_name"} <= names


def test_it_needs_neither_tensorrt_nor_a_cuda_runtime(plugin_library: Path) -> None:
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", plugin_library))
    assert needed
    assert not [name for name in needed if re.search("nvinfer|tensorrt|cuda|nvrtc", name)]
    undefined = run("nm", "-D", "--undefined-only", plugin_library)
    assert "PluginRegistry" not in undefined


def check_report(text: str) -> int:
    """Return the number of kernels in a compiler's report; fails if one spills registers."""
    spills = [int(n) for n in re.findall(r"(\d+) bytes spill (?:stores|loads)", text)]
    assert not any(spills), re.findall(r".*spilled to local memory.*", text)
    return len(re.findall(r"Used \d+ registers", text))


def test_no_kernel_spills_registers(plugin_library: Path) -> None:
    reports = {path.name: path.read_text("utf-8") for path in FOLDER.rglob("*.cu.o.report")}
    kernels = {name: check_report(text) for name, text in reports.items()}
    assert kernels.keys() == {f"{path.name}.o.report" for path in CSRC.glob("*.cu")}
    assert all(kernels.values()), kernels
    assert f"sm_{ARCHITECTURE}" in "".join(reports.values())


def test_a_spill_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        check_report("    8 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads")


@pytest.mark.slow
def test_no_kernel_spills_registers_on_any_gpu(plugin_library: Path, tmp_path: Path) -> None:
    nvcc = cached_path("CORNERRT_NVCC")
    known = run(nvcc, "--list-gpu-code").split()
    listed = re.search(
        r"SUPPORTED_ARCHITECTURES ([\d ]+)\)", (ROOT / "plugins/CMakeLists.txt").read_text("utf-8")
    )
    assert listed
    for architecture in listed.group(1).split():
        if f"sm_{architecture}" not in known:
            continue
        for source in sorted(CSRC.glob("*.cu")):
            command = [nvcc, "-std=c++17", "-O3", "-cubin", f"-arch=sm_{architecture}"]
            command += ["-Xptxas=-v", "-o", str(tmp_path / "kernel.cubin"), str(source)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            assert result.returncode == 0, result.stderr
            assert check_report(result.stdout + result.stderr), (source.name, architecture)


@pytest.fixture(scope="module")
def host_lines(plugin_library: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a program with the full TensorRT's interface sees."""
    program = tmp_path_factory.mktemp("host") / "host"
    source = Path(__file__).parent / "plugin_host_program.cpp"
    headers = ["-isystem", cached_path("TENSORRT_INCLUDE_DIR")]  # nvcc knows those of CUDA
    nvcc = [cached_path("CORNERRT_NVCC"), "-cudart", "none", "-std=c++17"]
    run(*nvcc, *headers, source, "-o", program, "-ldl")
    return run(program, plugin_library).splitlines()


def test_its_creators_have_the_names_in_the_onnx_nodes(host_lines: list[str]) -> None:
    assert "creator: CornerPool 1 cornerrt" in host_lines


def test_a_plugin_survives_being_written_into_an_engine(host_lines: list[str]) -> None:
    fields = [line for line in host_lines if line.startswith("fields: ")]
    names = ("top", "bottom", "left", "right", "top")
    assert fields == [f"fields: direction={n} length {len(n) + 1}" for n in names]


def test_the_full_tensorrt_is_offered_what_it_can_time(host_lines: list[str]) -> None:
    formats = dict(re.findall(r"type (\d+) formats:(.*)", "\n".join(host_lines)))
    offered = {int(kind): [int(n) for n in text.split()] for kind, text in formats.items()}
    assert offered == {
        FLOAT: [LINEAR],
        HALF: [LINEAR, HWC8],
        INT8: [LINEAR, CHW32],
        INT32: [],
        BF16: [],
    }


def test_a_wrong_direction_is_refused_through_the_logger(host_lines: list[str]) -> None:
    assert "accepted" not in host_lines
    log = [line.removeprefix("log: CornerPool node") for line in host_lines if "log: " in line]
    expected = "expected top, bottom, left or right"
    assert log == [
        f" got direction 'up'; {expected}",
        f" got direction 'Top'; {expected}",
        f": attribute direction is no string; {expected}",
        f" got direction ''; {expected}",
        f" has no attribute direction; {expected}",
    ]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make; apt install make")
@pytest.mark.parametrize(("present", "message"), [((), "cmake"), (("cmake",), "C++ compiler")])
def test_make_names_a_missing_program(
    present: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    for name in present:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o755)
    outer = ("MAKE", "MFLAGS")  # of a make that runs these tests
    environment = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
    command = [str(shutil.which("make")), "plugins"]
    environment["PATH"] = str(tmp_path)
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    expected = rf"error: found no {re.escape(message)}; .*sudo apt install"
    assert re.match(expected, result.stderr), result.stderr


def test_missing_headers_are_named_with_what_to_install(
    plugin_library: Path, tmp_path: Path
) -> None:
    command = ["cmake", "-S", str(ROOT / "plugins"), "-B", str(tmp_path / "build")]
    command.append(f"-DTENSORRT_ROOT={tmp_path}")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    message = " ".join(result.stderr.split())
    assert "found no NvInferRuntime.h" in message
    assert "apt install libnvinfer-headers-dev" in message
    assert "make plugins TENSORRT_ROOT=" in message


REGISTERED = """
import ctypes, sys
from runtime.trt_module import load_tensorrt_rtx
api = load_tensorrt_rtx().api
ctypes.CDLL(sys.argv[1])
creators = api.get_plugin_registry().all_creators
print([c.plugin_namespace for c in creators if c.name == "CornerPool"])
"""


@pytest.mark.slow
def test_a_library_that_registers_itself(plugin_library: Path, tmp_path: Path) -> None:
    """Built as Triton and DeepStream need it, which open the library without calling getCreators.

    TensorRT-RTX stands in for the full TensorRT, under its name; the registries of major version
    11 are alike.
    """
    run(
        *("cmake", "-S", ROOT / "plugins", "-B", tmp_path, "-DCORNERRT_SELF_REGISTER=ON"),
        f"-DCORNERRT_ARCHITECTURES={ARCHITECTURE}",
    )
    run("cmake", "--build", tmp_path)
    library = tmp_path / LIBRARY_NAME
    command = [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", str(library)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"found no libnvinfer\.so\.\d+; expected .* LD_LIBRARY_PATH", result.stderr)
    if "libnvinfer.so.11" not in result.stderr or RTX_MISSING:
        pytest.skip(RTX_MISSING or "TensorRT-RTX has no registry like that of these headers")
    (tmp_path / "empty.cpp").touch()
    shim = ["-Wl,--no-as-needed", tmp_path / "rtx_shim/stand_in/libtensorrt_rtx.so"]
    run("g++", "-shared", tmp_path / "empty.cpp", *shim, "-o", tmp_path / "libnvinfer.so.11")
    command = [sys.executable, "-c", REGISTERED, str(library)]
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    output = subprocess.check_output(command, env=environment, text=True)
    assert output.splitlines()[-1] == "['cornerrt']"
