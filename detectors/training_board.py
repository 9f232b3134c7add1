"""Scalars and pictures of a run for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

# Where a figure of the log appears: its tab in TensorBoard; all others are losses.
TABS = {"rate": "run", "images_per_s": "run", "loader_share": "run", "gradient": "run"}


class TrainingBoard:
    """Writes event files.

    Args:
        folder: Receives them; created.
        first_step: Steps done before; what a killed run wrote beyond is hidden.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=first_step + 1 if first_step else None)

    def add_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to the curve of each figure."""
        for name, value in values.items():
            tab = "validation" if name.startswith("ap") else TABS.get(name, "loss")
            self._writer.add_scalar(f"{tab}/{name}", value, step)

    def add_picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Add a picture, uint8 (H, W, 3) BGR."""
        self._writer.add_image(name, image[..., ::-1].copy(), step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
