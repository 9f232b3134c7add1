"""What every inference backend shares: checks, timing, and a picture's way into the network."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.contract import BOX_NAMES, ModelContract, TensorSpec, read_contract
from runtime.errors import BackendError
from runtime.geometry import Letterbox
from runtime.preprocess import letterbox_image

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class PreparedFrame:
    """A picture in the form that one backend takes; made by its ``prepare``.

    Attributes:
        letterbox: Where the picture lies on the network's canvas.
        pixels: The canvas, uint8 (1, H, W, 3), or what else the backend made of the picture.
    """

    letterbox: Letterbox
    pixels: Any


class Backend(abc.ABC):
    """Runs one artifact: ``open``, ``infer`` any number of times, ``close``.

    Use it from one thread at a time, except that others may ``prepare`` the next pictures while
    one infers. A subclass supplies the three hooks ``_open``, ``_run`` and ``_close``, and, if it
    can letterbox by itself, ``_prepare`` and ``_run_prepared``; checks and timing live here.

    Attributes:
        name: What a user calls it.
        contract: Of the open artifact.
        network_ms: How long the last ``infer`` spent in the subclass.
    """

    name: str
    contract: ModelContract
    network_ms: float = 0.0

    def open(self, artifact: Path) -> None:
        """Load an artifact and run it once on black frames, so that the first frame is not slow.

        Raises:
            ArtifactError: If the artifact is missing or cannot be loaded.
            ContractError: If its contract is missing, malformed or of another file.
            BackendError: If its outputs are not those that the contract promises.
        """
        self.contract = read_contract(artifact)
        self._start(artifact)

    def _start(self, artifact: Path) -> None:
        """Check the contract, load the artifact and warm up."""
        if len(self.contract.inputs) != 1:
            raise BackendError(f"{artifact} has {len(self.contract.inputs)} inputs; expected 1")
        missing = set(BOX_NAMES) - {spec.name for spec in self.contract.outputs}
        if missing:
            raise BackendError(
                f"{artifact} has no output {sorted(missing)}; expected the decoder in the graph "
                f"({', '.join(BOX_NAMES)}); export it without --raw"
            )
        self._open(artifact)
        try:
            self.infer(np.zeros((1, *self.contract.size_hw, 3), np.uint8))
        except BaseException:
            self.close()
            raise

    def infer(self, batch: np.ndarray) -> Outputs:
        """Run the network.

        Args:
            batch: uint8 (N, H, W, 3), BGR, of the size in the contract; not modified.

        Returns:
            The raw outputs by name: ``boxes`` float32 (N, D, 4), ``scores`` float32 (N, D),
            ``class_ids`` int32 (N, D), and what else the contract lists, such as
            ``corner_scores`` float32 (N, D, 2). They stay valid.

        Raises:
            BackendError: If the batch or an output differs from the contract.
        """
        _check_tensor(self.contract.inputs[0], batch, self.name, "input")
        return self._checked(lambda: self._run(batch))

    def prepare(self, image: np.ndarray) -> PreparedFrame:
        """Letterbox a picture, or send it to where that will be done.

        What it returns may hold memory that the backend uses again as soon as nobody refers to it:
        infer it or drop it, and keep no more than are waiting for the network.

        Args:
            image: uint8 (H, W, 3), BGR, of any size; not modified, and not needed afterwards.

        Raises:
            UsageError: If the picture has no pixels.
            BackendError: If memory runs out.
        """
        letterbox = Letterbox.fit(image.shape[:2], self.contract.size_hw)
        return PreparedFrame(letterbox, self._prepare(image, letterbox))

    def infer_prepared(self, frame: PreparedFrame) -> Outputs:
        """Run the network on one picture; returns and raises as ``infer`` does.

        Args:
            frame: From ``prepare`` of this very backend.
        """
        return self._checked(lambda: self._run_prepared(frame))

    def infer_timed(self, frame: PreparedFrame) -> tuple[Outputs, dict[str, float]]:
        """Run the network on one picture and say what the time went to.

        Args:
            frame: From ``prepare`` of this very backend.

        Returns:
            What ``infer_prepared`` returns, and milliseconds by stage of ``runtime.spans.STAGES``
            in the order in which they followed each other. Here all is "network"; a backend that
            copies or letterboxes as part of the call tells these apart.
        """
        outputs = self.infer_prepared(frame)
        return outputs, {"network": self.network_ms}

    @property
    def prepare_stage(self) -> str:
        """What ``prepare`` spends the calling thread's time on; one of ``runtime.spans.STAGES``."""
        return "letterbox"

    def infer_batch(self, frames: Sequence[PreparedFrame]) -> list[Outputs]:
        """Run the network once on several pictures; raises as ``infer`` does.

        Args:
            frames: From ``prepare`` of this very backend; at most ``largest_prepared_batch``.

        Returns:
            For each picture what ``infer_prepared`` would return.
        """
        if len(frames) == 1:
            return [self.infer_prepared(frames[0])]
        outputs = self._checked(lambda: self._run_prepared_batch(frames))
        return [
            {name: array[index : index + 1] for name, array in outputs.items()}
            for index in range(len(frames))
        ]

    def close(self) -> None:
        """Release the artifact; may be called again."""
        self._close()

    @property
    def largest_batch(self) -> int | None:
        """The most frames that one ``infer`` takes; None for as many as memory holds."""
        count = self.contract.inputs[0].shape[0]
        return count if isinstance(count, int) else None

    @property
    def largest_prepared_batch(self) -> int | None:
        """The most pictures that one ``infer_batch`` takes; None for as many as memory holds."""
        return self.largest_batch

    def _checked(self, run: Callable[[], Outputs]) -> Outputs:
        """Run, take the time, and compare the outputs with the contract."""
        started = time.perf_counter_ns()
        outputs = run()
        self.network_ms = (time.perf_counter_ns() - started) / 1e6
        for spec in self.contract.outputs:
            if spec.name not in outputs:
                raise BackendError(f"{self.name} gave no output {spec.name!r}; build again")
            _check_tensor(spec, outputs[spec.name], self.name, "output")
        self._check_classes(outputs)
        return outputs

    def _prepare(self, image: np.ndarray, letterbox: Letterbox) -> Any:
        """Return the ``pixels`` of a prepared frame; may run in several threads at once."""
        canvas = np.empty((1, *letterbox.network_hw, 3), np.uint8)
        letterbox_image(image, letterbox, out=canvas[0])
        return canvas

    def _run_prepared(self, frame: PreparedFrame) -> Outputs:
        """Run what ``_prepare`` made."""
        return self._run(frame.pixels)

    def _run_prepared_batch(self, frames: Sequence[PreparedFrame]) -> Outputs:
        """Run several that ``_prepare`` made as one batch."""
        return self._run(np.concatenate([frame.pixels for frame in frames]))

    def _check_classes(self, outputs: Outputs) -> None:
        """Refuse detections whose class the contract does not name."""
        class_ids, count = outputs["class_ids"], len(self.contract.class_names)
        unnamed = ((class_ids < 0) | (class_ids >= count)) & (outputs["scores"] >= 0)
        if unnamed.any():
            raise BackendError(
                f"{self.contract.name} gave class id {class_ids[unnamed][0]}; expected 0 to "
                f"{count - 1}, as many as its contract names; build again: make engine"
            )

    @abc.abstractmethod
    def _open(self, artifact: Path) -> None:
        """Load the artifact whose contract is ``self.contract``."""

    @abc.abstractmethod
    def _run(self, batch: np.ndarray) -> Outputs:
        """Run a checked batch."""

    @abc.abstractmethod
    def _close(self) -> None:
        """Release whatever ``_open`` took."""


def _check_tensor(spec: TensorSpec, array: np.ndarray, backend: str, role: str) -> None:
    """Refuse an array whose dtype or fixed sizes differ from the contract's."""
    fits = len(spec.shape) == array.ndim and all(
        isinstance(wanted, str) or wanted == got
        for wanted, got in zip(spec.shape, array.shape, strict=True)
    )
    if not fits or array.dtype != np.dtype(spec.dtype):
        raise BackendError(
            f"{backend} {role} {spec.name!r} is {array.dtype} {array.shape}; "
            f"expected {spec.dtype} {spec.shape}, as its contract says"
        )
