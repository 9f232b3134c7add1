"""A backend that looks twice at every picture, around one that runs the network."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

from runtime.backend_base import Backend, Outputs, PreparedFrame
from runtime.errors import UsageError
from runtime.geometry import Letterbox
from runtime.saccade import PROCESSOR_BATCH, SaccadeDetector, SaccadeOptions


class SaccadeBackend(Backend):
    """Runs a model with attention maps the way it was made for: see ``runtime.saccade``.

    ``prepare`` keeps the whole picture; ``infer_prepared`` returns the boxes of both looks, in
    pixels of the picture and as many as were found. ``infer`` is the network's alone.

    Args:
        network: Runs the model; opened and closed through this one.
        options: How much to look; ``batch`` is lowered to what the network takes, or to
            ``PROCESSOR_BATCH`` where only memory limits that.

    Attributes:
        detector: What looks twice, from ``open`` on.
    """

    detector: SaccadeDetector

    def __init__(self, network: Backend, options: SaccadeOptions | None = None) -> None:
        self.name = network.name
        self._network = network
        self._options = options or SaccadeOptions()

    def open(self, artifact: Path) -> None:
        """Load an artifact; raises what the network's backend raises.

        Raises:
            UsageError: If the model has no attention maps.
        """
        self._network.open(artifact)
        self.contract = self._network.contract
        if not self.contract.has_attention:
            self.close()
            raise UsageError(
                f"{artifact} gives {', '.join(spec.name for spec in self.contract.outputs)}; "
                "expected attention maps as well; open it with runtime.backends.open_backend"
            )
        batch = min(self._options.batch, self._network.largest_batch or PROCESSOR_BATCH)
        options = dataclasses.replace(self._options, batch=batch)
        self.detector = SaccadeDetector(self._network.infer, self.contract.size_hw, options)

    @property
    def largest_batch(self) -> int | None:
        """The most frames that one ``infer`` takes."""
        return self._network.largest_batch

    @property
    def largest_prepared_batch(self) -> int | None:
        """One: the looks at a single picture make up batches already."""
        return 1

    def prepare(self, image: np.ndarray) -> PreparedFrame:
        """Keep a copy of a picture; its letterbox leaves boxes as they are.

        Raises:
            UsageError: If the picture has no pixels.
        """
        size_hw = (image.shape[0], image.shape[1])
        return PreparedFrame(Letterbox.fit(size_hw, size_hw), image.copy())

    def infer_prepared(self, frame: PreparedFrame) -> Outputs:
        """Look twice at one picture.

        Returns:
            ``boxes`` float32 (1, n, 4) in pixels of the picture, ``scores`` float32 (1, n),
            ``class_ids`` int32 (1, n).

        Raises:
            BackendError: As ``infer`` does.
        """
        started = time.perf_counter_ns()
        outputs = self.detector.look(frame.pixels)
        self.network_ms = (time.perf_counter_ns() - started) / 1e6
        return outputs

    def _open(self, artifact: Path) -> None:
        self._network.open(artifact)

    def _run(self, batch: np.ndarray) -> Outputs:
        return self._network.infer(batch)

    def _close(self) -> None:
        self._network.close()
