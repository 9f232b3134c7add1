"""Inference with TensorRT or TensorRT-RTX on an NVIDIA GPU."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from plugins.library import find_library
from runtime.backend_base import Backend, Outputs, PreparedFrame
from runtime.cuda_memory import Stream, open_device
from runtime.errors import BackendError
from runtime.geometry import Letterbox
from runtime.letterbox_gpu import LetterboxKernel
from runtime.preprocess import letterbox_image
from runtime.tensorrt_engine import Engine
from runtime.tensorrt_session import PlaceInput, Session
from runtime.trt_module import TensorRTModule
from runtime.upload_ring import UploadedFrame, UploadRing


class TensorRTBackend(Backend):
    """Runs an engine, one CUDA graph per frame.

    ``prepare`` copies a picture to pinned memory and sends it to the GPU on a stream of its own,
    while ``infer_prepared`` is at the picture before. The GPU scales it where the plugin library
    is built; elsewhere the processor does, and only the network's canvas is sent.

    Args:
        trt: The TensorRT that is to run it.

    Raises:
        BackendError: On creation, if there is no GPU that can be used.
    """

    def __init__(self, trt: TensorRTModule) -> None:
        self.name = trt.product
        self._trt = trt
        self._device = open_device()
        self._engine: Engine | None = None
        self._session: Session | None = None
        self._uploads: UploadRing | None = None
        self._kernel: LetterboxKernel | None = None
        self._slots = 1  # frames in the batch that was run last
        # Closing waits for both: a thread that was left behind must not meet freed memory.
        self._uploading = threading.Lock()
        self._inferring = threading.Lock()

    def another(self) -> TensorRTBackend:
        """Return a second open backend, for another camera and thread.

        It shares the engine and its weights, and has a context, streams and buffers of its own.

        Raises:
            BackendError: If this one is not open, or memory runs out.
        """
        if self._engine is None:
            raise BackendError("no artifact is open; call open() first")
        other = TensorRTBackend(self._trt)
        other.contract = self.contract
        other._open_on(self._engine)
        return other

    @property
    def largest_batch(self) -> int | None:
        """The most frames that the open engine was built for."""
        name = self.contract.inputs[0].name
        return None if self._engine is None else self._engine.largest_shape(name)[0]

    @property
    def prepare_stage(self) -> str:
        """Copying to pinned memory where the GPU letterboxes; letterboxing elsewhere."""
        return "letterbox" if self._kernel is None else "copy in"

    def infer_timed(self, frame: PreparedFrame) -> tuple[Outputs, dict[str, float]]:
        """Run the network on one picture and say what the time went to, by events on the GPU.

        Returns:
            What ``infer_prepared`` returns, and milliseconds: "enqueue" (the host's share: it
            gives the GPU its work, and copies results), "copy in" (until the picture has arrived),
            "letterbox" (where the GPU does it), "network" and "copy out". What is measured with a
            CUDA graph and what without, ``Session.infer_timed`` explains.
        """
        parts: dict[str, float] = {}

        def run() -> Outputs:
            outputs, told = self._infer_timed(frame)
            parts.update(told)
            return outputs

        outputs = self._checked(run)
        on_gpu = {"copy in": parts["arrival"]}
        placement = "copy in" if self._kernel is None else "letterbox"
        on_gpu[placement] = on_gpu.get(placement, 0.0) + parts["placement"]
        on_gpu |= {"network": parts["network"], "copy out": parts["copy out"]}
        enqueue_ms = max(0.0, self.network_ms - sum(on_gpu.values()))
        return outputs, {"enqueue": enqueue_ms, **on_gpu}

    def _infer_timed(self, frame: PreparedFrame) -> tuple[Outputs, dict[str, float]]:
        shape = (1, *frame.letterbox.network_hw, 3)
        with self._inferring, self._device.current():
            if self._session is None:
                raise BackendError("no artifact is open; call open() first")
            return self._session.infer_timed(frame.pixels, self._place(frame), shape)

    def _open(self, artifact: Path) -> None:
        with self._device.current():
            engine = Engine(self._trt, artifact, self.contract, self._device)
            self._open_on(engine)

    def _open_on(self, engine: Engine) -> None:
        """Make what belongs to this backend alone, and run it once."""
        black = np.zeros((*self.contract.size_hw, 3), np.uint8)
        try:
            with self._device.current():
                self._engine = engine
                engine.acquire()
                library = find_library()
                self._kernel = None if library is None else LetterboxKernel(library)
                self._session = Session(engine, self.contract, self._device)
                self._uploads = UploadRing(self._device)
                self.infer_prepared(self.prepare(black))
                engine.save_jit_cache()
        except BaseException:
            self.close()
            raise

    def _prepare(self, image: np.ndarray, letterbox: Letterbox) -> UploadedFrame:
        if self._kernel is not None:
            return self._upload(image.shape, lambda pinned: np.copyto(pinned, image))
        shape = (*letterbox.network_hw, 3)
        return self._upload(shape, lambda pinned: letterbox_image(image, letterbox, out=pinned))

    def _run(self, batch: np.ndarray) -> Outputs:
        frame = self._upload(batch.shape, lambda pinned: np.copyto(pinned, batch))
        return self._infer([(frame, _copy)], batch.shape)

    def _run_prepared(self, frame: PreparedFrame) -> Outputs:
        return self._run_prepared_batch([frame])

    def _run_prepared_batch(self, frames: Sequence[PreparedFrame]) -> Outputs:
        # Batches only grow: each new shape costs a new CUDA graph, an old frame in a slot nothing.
        self._slots = max(self._slots, len(frames))
        shape = (self._slots, *frames[0].letterbox.network_hw, 3)
        parts = [(frame.pixels, self._place(frame)) for frame in frames]
        outputs = self._infer(parts, shape)
        return {name: array[: len(frames)] for name, array in outputs.items()}

    def _place(self, frame: PreparedFrame) -> PlaceInput:
        """Return what brings a picture to the network's input."""
        return _copy if self._kernel is None else partial(_scale, self._kernel, frame.letterbox)

    def _upload(
        self, shape: tuple[int, ...], fill: Callable[[np.ndarray], object]
    ) -> UploadedFrame:
        with self._uploading, self._device.current():
            if self._uploads is None:
                raise BackendError("no artifact is open; call open() first")
            return self._uploads.upload(shape, fill)

    def _infer(
        self, parts: Sequence[tuple[UploadedFrame, PlaceInput]], shape: tuple[int, ...]
    ) -> Outputs:
        with self._inferring, self._device.current():
            if self._session is None:
                raise BackendError("no artifact is open; call open() first")
            return self._session.infer(parts, shape)

    def _close(self) -> None:
        # What made the GPU fail was reported when it happened; freeing only fails again then.
        with self._inferring, self._uploading, contextlib.suppress(BackendError):
            with self._device.current():
                self._release()

    def _release(self) -> None:
        with contextlib.ExitStack() as cleanup:  # the last is closed first, whatever fails
            if self._engine is not None:
                cleanup.callback(self._engine.release)
            for part in (self._uploads, self._session):
                if part is not None:
                    cleanup.callback(part.close)
            self._uploads = self._session = self._engine = None


def _copy(frame: UploadedFrame, target: int, stream: Stream) -> None:
    stream.copy_on_device(target, frame.address, frame.size)


def _scale(
    kernel: LetterboxKernel,
    letterbox: Letterbox,
    frame: UploadedFrame,
    target: int,
    stream: Stream,
) -> None:
    kernel.launch(frame.address, target, letterbox, stream.handle)
