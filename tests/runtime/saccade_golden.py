"""The golden case of CornerNet-Saccade's two looks, and a network that answers as recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FILE = Path(__file__).parents[1] / "data" / "golden" / "saccade_inference.npz"
NETWORK_HW = (255, 255)
# float32, as the published code divides by it.
CELLS_PER_PX = np.float32(64 / 255)
MEAN_BGR = np.float32([0.40789654, 0.44719302, 0.47026115])
STD_BGR = np.float32([0.28863828, 0.27408164, 0.27809835])


def read_golden() -> dict[str, np.ndarray]:
    """Return the arrays of the one golden image by name."""
    with np.load(FILE) as data:
        return {key.split("/", 1)[1]: data[key] for key in data.files}


class RecordedNetwork:
    """Answers its calls with the detections and attention maps that were recorded.

    Attributes:
        frames: What it was shown, call by call.
    """

    def __init__(self, golden: dict[str, np.ndarray]) -> None:
        self.golden = golden
        self.frames: list[np.ndarray] = []

    def __call__(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        call = len(self.frames)
        self.frames.append(frames)
        rows = self.golden[f"call{call}/dets"]
        outputs = {
            "boxes": rows[..., :4] / CELLS_PER_PX,
            "scores": rows[..., 4],
            "class_ids": rows[..., 7].astype(np.int32),
        }
        count = len(frames)
        for index, side in enumerate((16, 32, 64)):
            recorded = self.golden.get(f"call{call}/att{index}")
            unseen = np.zeros((count, 1, side, side), np.float32)
            outputs[f"att{index}"] = unseen if recorded is None else recorded
        return outputs
