"""TensorRT-RTX builds ahead of time: seconds, file size and peak memory; no GPU needed.

python -m benchmarks.engine_builds
python -m benchmarks.engine_builds --models cornernet-hourglass104 --repeats 1

Weights are random but seeded, and INT8 ranges come from noise: neither changes what is built.
Every build runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2
import numpy as np

from benchmarks.report import RESULTS, Findings, run_benchmark
from detectors.registry import DETECTORS, find_spec
from export.build_engine import BuildRequest, build_engine
from export.onnx_graph import load_model, save_model
from export.precision import convert_to_fp16
from export.tensorrt_options import PluginUse, TensorRTOptions
from plugins.library import find_library
from runtime.command_line import CommandParser, positive
from runtime.contract import read_contract, write_contract
from runtime.errors import CornerRTError, UsageError
from runtime.machine_facts import peak_mib
from runtime.trt_module import load_tensorrt_rtx

NAME = "engine_builds"
SEED = 1
CALIBRATION_IMAGES = 2
PRECISIONS = ("fp16", "int8")
DEFAULT_MODELS = ("cornernet-nano", "cornernet-squeeze")


@dataclass(frozen=True)
class BuildFigures:
    """What one build took.

    Attributes:
        milliseconds: From the portable file to engine and contract.
        cpu_seconds: Processor time of all threads meanwhile, which other programs do not change.
        megabytes: Size of the engine, in 10^6 bytes.
        imports_mib: Largest resident memory of the process before the build, when Python and its
            libraries were loaded; None where the system does not tell.
        peak_mib: The same after the build.
        summary: What the build says came out.
    """

    milliseconds: float
    cpu_seconds: float
    megabytes: float
    imports_mib: float | None
    peak_mib: float | None
    summary: str


def build_parser() -> CommandParser:
    """Return the command's parser."""
    parser = CommandParser(
        prog=f"python -m benchmarks.{NAME}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, metavar="F.json", help=f"default: {RESULTS.name}/{NAME}-<date>")
    add(
        "--models",
        nargs="+",
        default=list(DEFAULT_MODELS),
        metavar="MODEL",
        help=f"some of {', '.join(sorted(DETECTORS))}",
    )
    add("--repeats", type=positive, default=3, metavar="N", help="builds of each kind")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_benchmark(NAME, build_parser(), argv, _measure)


def _measure(options: argparse.Namespace) -> Findings:
    version = load_tensorrt_rtx().version
    samples: dict[str, list[float]] = {}
    facts: dict[str, object] = {}
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            for label, figures in measure_model(model, Path(folder), options.repeats).items():
                samples[label] = [one.milliseconds for one in figures]
                facts[label] = asdict(figures[-1])
    library = find_library()
    settings = {
        "models": options.models,
        "sizes_hw": [find_spec(model).default_size_hw for model in options.models],
        "weights": f"random, seed {SEED}",
        "tensorrt_rtx": version,
        "plugin_library": library is not None,
        "repeats": options.repeats,
    }
    return Findings(settings, samples, facts=facts)


def measure_model(model: str, folder: Path, repeats: int) -> dict[str, list[BuildFigures]]:
    """Build one model in every precision, with plugins where the library is there, and without.

    Args:
        model: Its name in the registry.
        folder: Receives models and engines.
        repeats: Builds of each kind.

    Returns:
        Figures of each build, by what was built.
    """
    sources = portable_models(model, folder)
    uses = [PluginUse.NO] + [PluginUse.YES] * (find_library() is not None)
    figures = {}
    for precision, source in sources.items():
        for use in uses:
            words = "with plugins" if use is PluginUse.YES else "without plugins"
            request = BuildRequest(
                source, folder / "x.engine", "tensorrt-rtx", TensorRTOptions(plugins=use)
            )
            label = f"{model} {precision} {words}"
            figures[label] = [build_apart(request) for _ in range(repeats)]
    return figures


def portable_models(model: str, folder: Path) -> dict[str, Path]:
    """Export a model, and return its portable files by precision.

    Raises:
        UsageError: If a step fails, such as for an unknown model; says what it printed.
    """
    size = find_spec(model).default_size_hw
    fp32, fp16, int8 = (folder / f"{name}.onnx" for name in ("fp32", "fp16", "int8"))
    _run_module(
        "export.export_onnx", "--model", model, "--random-weights", SEED, "--size", *size,
        "--out", fp32,
    )  # fmt: skip
    write_noise(folder / "images", size)
    _run_module(
        "calibration.calibrate", "--onnx", fp32, "--images", folder / "images", "--base", "fp16",
        "--out", int8,
    )  # fmt: skip
    save_model(convert_to_fp16(load_model(fp32)), fp16)
    contract = read_contract(fp32)
    write_contract(contract.with_step(contract.provenance[-1], precision="fp16"), fp16)
    return dict(zip(PRECISIONS, (fp16, int8), strict=True))


def write_noise(folder: Path, size_hw: tuple[int, int]) -> None:
    """Write pictures of seeded noise."""
    folder.mkdir()
    random = np.random.default_rng(SEED)
    for index in range(CALIBRATION_IMAGES):
        picture = random.integers(0, 256, (*size_hw, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), picture)


def build_apart(request: BuildRequest) -> BuildFigures:
    """Build in a new process.

    Raises:
        CornerRTError: If the build fails; the message is that of the build.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_build_and_send, args=(request, theirs))
    process.start()
    theirs.close()
    try:
        answer = json.loads(ours.recv())
    except EOFError:
        answer = {"error": "the building process ended without a word; expected enough memory"}
    process.join()
    if "error" in answer:
        raise CornerRTError(answer["error"])
    return BuildFigures(**answer)


def _build_and_send(request: BuildRequest, connection: Connection) -> None:
    """Build, and send the figures or the error as JSON."""
    imports_mib = peak_mib()
    started_ns, cpu_started_s = time.perf_counter_ns(), time.process_time()
    try:
        result = build_engine(request)
        figures = BuildFigures(
            (time.perf_counter_ns() - started_ns) / 1e6,
            round(time.process_time() - cpu_started_s, 2),
            request.out.stat().st_size / 1e6,
            imports_mib,
            peak_mib(),
            result.summary,
        )
        connection.send(json.dumps(asdict(figures)))
    except CornerRTError as error:
        connection.send(json.dumps({"error": str(error)}))
    connection.close()


def _run_module(module: str, *words: object) -> None:
    """Run one of our commands in a process of its own, so that its memory is given back."""
    command = [sys.executable, "-m", module, *map(str, words)]
    root = Path(__file__).resolve().parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UsageError(f"{module} failed: {result.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
