"""What streaming costs beyond the engine: a whole pipeline against the engine alone.

Pictures come from memory and one sink draws them, so that neither a decoder nor an encoder is
measured: what remains is the copy to the GPU, the letterbox, the hand-over between threads, the
engine, its outputs' way back, soft-NMS and drawing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Goal, Sense, Turn, ratio_of, run_rounds
from benchmarks.gpu_networks import MODELS, SEED, open_engine
from benchmarks.report import Findings
from benchmarks.streaming_probes import DrawProbe
from benchmarks.streaming_setup import camera_input
from detectors.registry import find_spec
from detectors.shapes_clip import ClipSpec, clip_frames
from export.detector_source import DetectorSource
from runtime.backend_base import Backend
from runtime.flow import FlowOptions
from runtime.frames import Frame
from runtime.geometry import Letterbox
from runtime.pipeline import Pipeline
from runtime.preprocess import letterbox_image

OVERHEAD_GOAL = 1.05  # wall time per frame of a stream over that of the engine alone
CLIP = ClipSpec(seconds=5.0, seed=SEED)
ENGINE_ALONE, STREAM = "engine alone", "stream"


class MemorySource:
    """Pictures in memory, delivered as fast as they are taken.

    Args:
        images: uint8 (H, W, 3) BGR; not modified.
    """

    name = "memory"
    is_live = False
    frame_rate = 30.0
    stall_timeout_s: float | None = None

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._frames = [Frame(image, self.name, i, 0) for i, image in enumerate(images)]
        self._next = 0

    def read(self) -> Frame | None:
        """Return the next picture; None after the last."""
        if self._next == len(self._frames):
            return None
        self._next += 1
        return self._frames[self._next - 1]

    def close(self) -> None:
        """Do nothing: memory needs no closing."""


def measure(rounds: int, models: tuple[str, ...] = MODELS) -> Findings:
    """Stream a clip through the engine of every model.

    Args:
        rounds: Rounds that count.
        models: Names in the registry.

    Raises:
        BackendError: If no TensorRT can run here.
    """
    images = [image for image, _ in clip_frames(CLIP)]
    samples, ratios = {}, {}
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            source = DetectorSource(model, None, SEED)
            backend = open_engine(source, find_spec(model).default_size_hw, Path(folder))
            try:
                own = run_rounds(turns(model, backend, images), rounds)
            finally:
                backend.close()
        samples |= own
        label = f"{model}: {STREAM} / {ENGINE_ALONE}"
        ratios[label] = ratio_of(*(own[f"{model}: {form}"] for form in (STREAM, ENGINE_ALONE)))
    goals = tuple(
        Goal(label, ratio.of_medians, Sense.AT_MOST, OVERHEAD_GOAL)
        for label, ratio in ratios.items()
    )
    settings = {"models": models, "frames": len(images), "image_hw": CLIP.image_hw}
    return Findings(settings, samples, ratios, goals)


def turns(model: str, backend: Backend, images: Sequence[np.ndarray]) -> list[Turn]:
    """Return a turn for the engine alone and one for the stream; both give wall time per frame.

    The engine alone takes canvases that are ready, from host memory to host memory.
    """
    size_hw = backend.contract.size_hw
    canvases = [letterbox_image(i, Letterbox.fit(i.shape[:2], size_hw))[None] for i in images]

    def engine_alone() -> dict[str, float]:
        total_ms = 0.0
        for canvas in canvases:
            backend.infer(canvas)
            total_ms += backend.network_ms
        return {f"{model}: {ENGINE_ALONE}": total_ms / len(canvases)}

    def stream() -> dict[str, float]:
        cameras = [camera_input(MemorySource(images))]
        summary = Pipeline(cameras, backend, [DrawProbe()], FlowOptions()).run()
        return {f"{model}: {STREAM}": summary.seconds * 1e3 / summary.frames}

    return [engine_alone, stream]
