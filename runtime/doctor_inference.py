"""The doctor's checks of what runs a network: GPU, TensorRT, ONNX Runtime, artifacts."""

from __future__ import annotations

import re
from pathlib import Path

from runtime.contract import ModelContract, read_contract
from runtime.errors import CornerRTError
from runtime.findings import Ability, Finding, missing, note, ok
from runtime.machine import Machine

NVIDIA_VENDOR = "0x10de"
FIND_GPU = (
    "from runtime.trt_module import find_gpu; g = find_gpu(); "
    "print(f'{g.name}, compute capability {g.compute_capability}' if g else '')"
)
LOAD_PRODUCT = "from runtime.trt_module import load_product; print(load_product('{}').version)"
LOAD_PYCUDA = "import pycuda.driver, pycuda; print(pycuda.VERSION_TEXT)"
LOAD_ONNXRUNTIME = "import onnxruntime; print(onnxruntime.__version__)"
MODULES_BY_PRODUCT = {
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
TITLES = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT-RTX"}
INSTALL_BY_PRODUCT = {
    "tensorrt": "on a Jetson: sudo apt install python3-libnvinfer; else NVIDIA's packages of "
    "TensorRT 10.3 or later",
    "tensorrt-rtx": "pip install -e '.[rtx]'",
}
FOLDER = "build"


def check_backends(machine: Machine) -> list[Finding]:
    """Say what runs a network here: on the GPU, if there is one, and on the processor."""
    probe = machine.run_python(FIND_GPU)
    gpu = probe.text if probe.succeeded else ""  # a driver may end the process that asks it
    findings = [_gpu_finding(machine, gpu)]
    pycuda = machine.run_python(LOAD_PYCUDA)
    if gpu:
        findings.append(
            ok(f"pycuda {pycuda.text}")
            if pycuda.succeeded
            else missing(f"pycuda: {_reason(pycuda.text)}", "engines", "pip install -e '.[trt]'")
        )
    runs = bool(gpu) and pycuda.succeeded
    for product, modules in MODULES_BY_PRODUCT.items():
        if any(machine.has_module(name) for name in modules):
            findings.append(_product_finding(machine, product, runs))
        else:
            findings.append(_absent_finding(machine, product, gpu))
    findings.append(_onnxruntime_finding(machine, runs))
    return findings


def check_plugins(machine: Machine) -> list[Finding]:
    """Say whether the plugin library is built."""
    from plugins.library import LIBRARY_VARIABLE, find_library

    path = find_library()
    if path is not None:
        return [ok(f"plugin library {path}")]
    text = f"no plugin library (make plugins, or {LIBRARY_VARIABLE})"
    return [note(text, "faster engines; without it they use standard operators", "make plugins")]


def check_artifacts(machine: Machine) -> list[Finding]:
    """Say which models were built."""
    found: list[tuple[Path, ModelContract]] = []
    folder = machine.working_folder / FOLDER
    for path in sorted(folder.glob("*.json")):
        artifact = path.with_suffix("")
        try:
            if artifact.is_file():
                found.append((artifact, read_contract(artifact, verify=False)))
        except CornerRTError:
            continue  # another JSON file, or of another version
    built = [pair for pair in found if pair[1].target != "portable"]
    if not found:
        text = f"no model in {folder.absolute()}/"  # whole: started elsewhere, it is another one
        return [missing(text, "a stream with a network", "make engine")]
    newest, contract = max(built or found, key=lambda pair: pair[0].stat().st_mtime_ns)
    facts = f"newest {newest.name} ({contract.precision}, for {contract.target})"
    if not built:
        text = f"nothing was built from the {len(found)} models in {FOLDER}/; {facts}"
        return [note(text, "speed", "make engine")]
    return [ok(f"{len(built)} built models in {FOLDER}/, {facts}")]


def _gpu_finding(machine: Machine, gpu: str) -> Finding:
    version = re.search(r"\d+\.\d+(\.\d+)?", machine.read("/proc/driver/nvidia/version"))
    if gpu:
        return ok(f"GPU {gpu}{f', driver {version[0]}' if version else ''}")
    vendors = [machine.read(path) for path in machine.find("/sys/bus/pci/devices/*/vendor")]
    if version and machine.is_container:
        text = "an NVIDIA GPU that this container was not given"
        return missing(text, "engines", "start the container with --gpus all")
    if version or NVIDIA_VENDOR in vendors:
        text = "an NVIDIA GPU without a driver that works (libcuda.so.1)"
        return missing(text, "engines", "install NVIDIA's driver, restart, and see: nvidia-smi")
    return note("no NVIDIA GPU: networks run on the processor", "engines")


def _product_finding(machine: Machine, product: str, runs: bool) -> Finding:
    """Say whether a TensorRT that is installed loads, and can run what it builds."""
    title, install = TITLES[product], INSTALL_BY_PRODUCT[product]
    loaded = machine.run_python(LOAD_PRODUCT.format(product))
    if not loaded.succeeded:
        return missing(f"{title}: {_reason(loaded.text)}", f"target {product}", install)
    if runs:
        return ok(f"{title} {loaded.text}", Ability.NETWORK)
    return ok(f"{title} {loaded.text}, to build with; engines run where GPU and pycuda are")


def _absent_finding(machine: Machine, product: str, gpu: str) -> Finding:
    """Say that a TensorRT is not there: one is enough, and without a GPU nobody misses it."""
    text, install = f"{TITLES[product]} is not installed", INSTALL_BY_PRODUCT[product]
    has_one = any(
        machine.has_module(name) for group in MODULES_BY_PRODUCT.values() for name in group
    )
    if gpu and not has_one and product == "tensorrt":
        return missing(text, f"engines on {gpu}", install)
    return note(text, f"target {product}", install)


def _onnxruntime_finding(machine: Machine, has_other: bool) -> Finding:
    loaded = machine.run_python(LOAD_ONNXRUNTIME)
    if loaded.succeeded:
        return ok(f"ONNX Runtime {loaded.text}", Ability.NETWORK)
    text, install = f"ONNX Runtime: {_reason(loaded.text)}", "pip install onnxruntime"
    if has_other:
        return note(text, "models on the processor", install)
    return missing(text, "models on the processor", install)


def _reason(text: str) -> str:
    """Return what an error says, without the name of its class."""
    return re.sub(r"^[\w.]*(Error|Exception): ", "", text)
