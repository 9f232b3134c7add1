"""Networks on the GPU: engines against PyTorch in half precision, eager and compiled.

Frames in, detections out, host memory to host memory, one frame at a time. Every candidate's turn
ends when its results are on the host, so that nothing is still running when the clock stops.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.common import Goal, Samples, Sense, Turn, ratio_of, run_rounds, timed
from benchmarks.report import Findings
from detectors.registry import find_spec
from export.build_engine import BuildRequest, build_engine
from export.detector_source import DetectorSource, load_detector
from export.export_onnx import ExportRequest, deploy_module, export_onnx
from export.wrapper import DeployModule
from runtime.backend_base import Backend
from runtime.backends import open_backend
from runtime.contract import DETECTION_NAMES
from runtime.errors import BackendError, CornerRTError

MODELS = ("cornernet-nano", "cornernet-squeeze")
SEED = 1  # speed does not depend on the weights
REPEATS = 20  # frames per turn: a frame of nano takes well under a millisecond on a large GPU
ENGINE, EAGER, COMPILED = "engine, FP16", "PyTorch FP16 eager", "PyTorch FP16 compiled"


def measure(rounds: int, models: tuple[str, ...] = MODELS) -> Findings:
    """Time every model in every form that this machine has.

    Args:
        rounds: Rounds that count.
        models: Names in the registry.

    Raises:
        BackendError: If torch sees no GPU.
    """
    if not torch.cuda.is_available():
        raise BackendError("torch sees no GPU; expected a build of torch with CUDA")
    samples: Samples = {}
    facts: dict[str, str] = {}
    for model in models:
        samples |= measure_model(model, rounds, facts)
    ratios = {
        f"{model}: {form} / {ENGINE}": ratio_of(
            samples[f"{model}: {form}"], samples[f"{model}: {ENGINE}"]
        )
        for model in models
        for form in (EAGER, COMPILED)
        if f"{model}: {ENGINE}" in samples and f"{model}: {form}" in samples
    }
    goals = tuple(
        Goal(label, ratio.of_medians, Sense.AT_LEAST, 1.0) for label, ratio in ratios.items()
    )
    settings = {"models": models, "batch": 1, "weights": f"random, seed {SEED}"}
    return Findings(settings, samples, ratios, goals, facts)


def measure_model(model: str, rounds: int, facts: dict[str, str]) -> Samples:
    """Let the forms of one model take turns; forms that are missing are named in ``facts``."""
    source = DetectorSource(model, None, SEED)
    size_hw = find_spec(model).default_size_hw
    frames = np.random.default_rng(SEED).integers(0, 256, (1, *size_hw, 3), np.uint8)
    turns: list[Turn] = []
    engine: Backend | None = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            engine = open_engine(source, size_hw, Path(folder))
        except CornerRTError as error:
            facts[f"{model}: {ENGINE}"] = f"not run: {error}"
        if engine is not None:
            opened = engine
            turns.append(timed(f"{model}: {ENGINE}", lambda: opened.infer(frames), REPEATS))
        try:
            turns += torch_turns(source, frames, facts)
            return run_rounds(turns, rounds)
        finally:
            if engine is not None:
                engine.close()


def open_engine(source: DetectorSource, size_hw: tuple[int, int], folder: Path) -> Backend:
    """Export, build for this machine's GPU, and open.

    Raises:
        CornerRTError: If no TensorRT is installed, or it refuses the model.
    """
    from export.choose_target import choose_target

    target, reason = choose_target("auto")
    if target == "onnxruntime":
        raise BackendError(f"no TensorRT for this GPU: {reason}")
    portable, built = folder / "model.onnx", folder / "model.engine"
    export_onnx(ExportRequest(source, size_hw, "fp16"), portable)
    build_engine(BuildRequest(portable, built, target))
    return open_backend(built)


def torch_turns(
    source: DetectorSource, frames: np.ndarray, facts: dict[str, str]
) -> Iterator[Turn]:
    """Yield a turn for PyTorch eager and one for torch.compile, where it works."""
    module = half_module(source).cuda()
    compiled = torch.compile(copy.deepcopy(module))
    for form, action in ((EAGER, module), (COMPILED, compiled)):
        label = f"{source.name}: {form}"
        try:
            infer = torch_inference(action, frames)
            infer()  # compiles
        except (
            Exception
        ) as error:  # the compiler needs a C compiler and Triton, and fails variously
            facts[label] = f"not run: {type(error).__name__}"
            continue
        yield timed(label, infer, REPEATS)


class HalfDetector(nn.Module):
    """A detector in half precision between single-precision images and maps.

    Args:
        detector: Takes normalised images, returns a dict of raw maps; its weights become half.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector.half().to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map float32 (N, 3, H, W) to float32 raw maps, computed in half."""
        maps = self.detector(images.half())
        return {name: value.float() for name, value in maps.items()}


def half_module(source: DetectorSource) -> DeployModule:
    """Return a detector from frames to detections, its network in half precision, channels last."""
    module = deploy_module(load_detector(source), source.name)
    module.detector = HalfDetector(module.detector)
    return module


def torch_inference(
    module: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    frames: np.ndarray,
    device: str = "cuda",
) -> Callable[[], list[np.ndarray]]:
    """Return a call that uploads frames, runs the module and fetches its detections.

    Args:
        module: Takes uint8 (N, H, W, 3); gives the detections first.
        frames: uint8 (N, H, W, 3).
        device: Where the module is.
    """

    @torch.inference_mode()
    def infer() -> list[np.ndarray]:
        values = module(torch.from_numpy(frames).to(device))
        return [value.cpu().numpy() for value in values[: len(DETECTION_NAMES)]]

    return infer
