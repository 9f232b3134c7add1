"""Boxes out of thin air, the same in every run: for tests and for trials of a camera or sink."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from runtime.backend_base import Backend, Outputs
from runtime.contract import (
    ATTENTION_NAMES,
    DecodeParams,
    ModelContract,
    TensorSpec,
    read_contract,
)

NUM_BOXES = 4
PERIOD_FRAMES = 60  # frames until a box has wandered once across the picture
SYNTHETIC_CONTRACT = ModelContract(
    name="synthetic",
    family="cornernet",
    size_hw=(256, 256),
    stride_px=4,
    mean_bgr=(0.0, 0.0, 0.0),
    std_bgr=(1.0, 1.0, 1.0),
    class_names=("first", "second", "third"),
    decode=DecodeParams(top_k=NUM_BOXES, nms_kernel=3, ae_threshold=0.5, num_dets=NUM_BOXES),
    inputs=(TensorSpec("frames", "uint8", ("N", 256, 256, 3)),),
    outputs=(
        TensorSpec("boxes", "float32", ("N", NUM_BOXES, 4)),
        TensorSpec("scores", "float32", ("N", NUM_BOXES)),
        TensorSpec("class_ids", "int32", ("N", NUM_BOXES)),
        TensorSpec("corner_scores", "float32", ("N", NUM_BOXES, 2)),
    ),
    precision="fp32",
)


class SyntheticBackend(Backend):
    """Answers every frame with boxes that wander to the right; needs no artifact and no library.

    Args:
        delay_s: Time that a frame seems to take.
    """

    name = "synthetic"

    def __init__(self, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s
        self._frames = 0

    def open(self, artifact: Path | None = None) -> None:
        """Start; an artifact, if given, lends its classes and sizes through its contract."""
        self.contract = SYNTHETIC_CONTRACT if artifact is None else read_contract(artifact)
        self._start(artifact or Path(self.name))
        self._frames = 0  # the frame of the warm-up does not count

    def _open(self, artifact: Path) -> None:
        pass

    def _run(self, batch: np.ndarray) -> Outputs:
        time.sleep(self._delay_s)
        count, (height, width) = len(batch), self.contract.size_hw
        shape = {spec.name: spec.shape for spec in self.contract.outputs}
        slots = int(shape["scores"][1])
        used = min(NUM_BOXES, slots)
        number = np.arange(used)
        phase = (self._frames / PERIOD_FRAMES + number / used) % 1.0
        left, top = phase * 0.75 * width, number / used * height
        self._frames += 1
        boxes = np.zeros((count, slots, 4), np.float32)
        boxes[:, :used] = np.stack([left, top, left + width / 4, top + height / 5], axis=1)
        scores = np.full((count, slots), -1.0, np.float32)
        scores[:, :used] = 0.9 - 0.1 * number
        class_ids = np.zeros((count, slots), np.int32)
        class_ids[:, :used] = number % len(self.contract.class_names)
        further = {"corner_scores": np.repeat(scores[:, :, None], 2, axis=2)}
        unseen = {
            spec.name: np.zeros((count, *map(int, spec.shape[1:])), np.float32)
            for spec in self.contract.outputs
            if spec.name in ATTENTION_NAMES
        }
        told = {name: array for name, array in further.items() if name in shape}
        return unseen | told | {"boxes": boxes, "scores": scores, "class_ids": class_ids}

    def _close(self) -> None:
        pass
