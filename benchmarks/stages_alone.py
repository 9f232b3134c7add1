"""The stages of a stream one at a time, with nothing beside them, on the frames of that stream."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from runtime.backend_base import Backend
from runtime.file_sinks import CameraFacts, open_file_sinks
from runtime.frames import Frame, FrameResult
from runtime.geometry import Letterbox
from runtime.open_sources import open_sources
from runtime.options import StreamOptions
from runtime.postprocess import PostprocessOptions, detections_from_raw
from runtime.preprocess import letterbox_image
from runtime.sinks import Sink
from runtime.sources import Source

T = TypeVar("T")

# What happens between capture and the drawn frame; "publish", what sinks do with it, comes after.
DRAWN_STAGES = ("capture", "letterbox", "network", "postprocess", "draw")
ALL_STAGES = (*DRAWN_STAGES, "publish")


def open_only_source(options: StreamOptions) -> Source:
    """Open the one source of a stream.

    Raises:
        SourceError: If it is missing or cannot be read.
    """
    (spec,) = open_sources(options.sources)
    return spec.open()


def open_only_sinks(
    options: StreamOptions, source: Source, backend: Backend, cleanup: contextlib.ExitStack
) -> list[Sink]:
    """Open what writes the files of a stream of one source; see ``open_file_sinks``."""
    facts = CameraFacts(source.name, source.is_live, lambda: source.frame_rate)
    return open_file_sinks(options.files, [facts], backend.contract.class_names, cleanup)


def read_frames(options: StreamOptions) -> list[Frame]:
    """Decode the pictures that a stream with these options would see.

    Raises:
        SourceError: If the source is missing, cut short or no video.
    """
    frames: list[Frame] = []
    with contextlib.closing(open_only_source(options)) as source:
        while options.model.max_frames is None or len(frames) < options.model.max_frames:
            frame = source.read()
            if frame is None:
                break
            frames.append(frame)
    return frames


class StagesAlone:
    """Runs each stage by itself, in the caller's thread.

    Args:
        options: Of the stream, with its sinks.
        backend: Open; stays open.
        frames: The stream's pictures; not modified.
    """

    def __init__(self, options: StreamOptions, backend: Backend, frames: Sequence[Frame]) -> None:
        self._options = options
        self._backend = backend
        self._frames = frames
        self._keep = PostprocessOptions(options.model.score).suited_to(backend.contract.decode)
        network_hw = backend.contract.size_hw
        self._letterboxes = [Letterbox.fit(f.image.shape[:2], network_hw) for f in frames]
        pairs = list(zip(frames, self._letterboxes, strict=True))
        self._canvases = [letterbox_image(f.image, box)[None] for f, box in pairs]
        self._outputs = [backend.infer(canvas) for canvas in self._canvases]
        self._detections = [
            detections_from_raw(raw, box, self._keep)
            for raw, box in zip(self._outputs, self._letterboxes, strict=True)
        ]

    def measure(self) -> dict[str, float]:
        """Return milliseconds per frame of every stage in ``ALL_STAGES``."""
        draw_ms, publish_ms = self._draw_and_publish()
        times = (
            self._capture(),
            self._letterbox(),
            _mean_ms(self._backend.infer, self._canvases),
            self._postprocess(),
            draw_ms,
            publish_ms,
        )
        return dict(zip(ALL_STAGES, times, strict=True))

    def _capture(self) -> float:
        """Decode as a stream does: without keeping what was decoded."""
        with contextlib.closing(open_only_source(self._options)) as source:
            return _mean_ms(lambda _: source.read(), self._frames)

    def _letterbox(self) -> float:
        canvas = np.empty((*self._backend.contract.size_hw, 3), np.uint8)

        def letterbox(frame: Frame) -> None:
            box = Letterbox.fit(frame.image.shape[:2], self._backend.contract.size_hw)
            letterbox_image(frame.image, box, out=canvas)

        return _mean_ms(letterbox, self._frames)

    def _postprocess(self) -> float:
        pairs = list(zip(self._outputs, self._letterboxes, strict=True))
        return _mean_ms(lambda pair: detections_from_raw(*pair, self._keep), pairs)

    def _draw_and_publish(self) -> tuple[float, float]:
        """Draw on a copy of each picture and give it to the sinks; their files are discarded."""
        names = self._backend.contract.class_names
        draw_ms = publish_ms = 0.0
        with (
            contextlib.closing(open_only_source(self._options)) as source,
            contextlib.ExitStack() as cleanup,
        ):
            sinks = open_only_sinks(self._options, source, self._backend, cleanup)
            for frame, found in zip(self._frames, self._detections, strict=True):
                image_hw = (frame.image.shape[0], frame.image.shape[1])
                result = FrameResult(source.name, frame, found, names, {}, image_hw)
                started = time.perf_counter_ns()
                assert result.annotated is not frame.image  # drawn now, kept for the sinks
                drawn = time.perf_counter_ns()
                for sink in sinks:
                    sink.publish(result)
                publish_ms += (time.perf_counter_ns() - drawn) / 1e6
                draw_ms += (drawn - started) / 1e6
        return draw_ms / len(self._frames), publish_ms / len(self._frames)


def _mean_ms(action: Callable[[T], object], items: Sequence[T]) -> float:
    """Return milliseconds per item of a loop over all."""
    started = time.perf_counter_ns()
    for item in items:
        action(item)
    return (time.perf_counter_ns() - started) / 1e6 / len(items)
