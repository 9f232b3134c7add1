"""One artifact that is being measured: open, warm, with its own pictures and sink."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from runtime.backends import open_backend
from runtime.contract import read_contract
from runtime.journey import FrameSequence
from runtime.line_files import Rotation
from runtime.measured_clip import Clip, ClipReader
from runtime.memory_use import MemoryWatch
from runtime.nvtx_ranges import StageRange
from runtime.options_measure import ModelChoice
from runtime.postprocess import PostprocessOptions
from runtime.saccade import with_published_sigma
from runtime.sink_jsonl import JsonlSink

# Of a soak over hours nothing is kept, so that it fills no memory where /tmp lies in it.
ROTATION = Rotation(size_bytes=4 << 20, age_s=None, keep=1)


class MeasuredArtifact:
    """An artifact whose frames go through all stages; a sink for JSON lines takes the results.

    Args:
        artifact: The model.
        model: How it is run.
        clip: What it is shown.
        warmup: Frames that it is shown at once.
        stage_range: Entered around every stage of every frame; None for nothing.

    Attributes:
        path: The model.
        backend: What runs it.
        postprocess: What is kept of its boxes.
        sequence: Takes frames through all stages.
        warmup: The frames of the warm-up.
        memory: What it took of host and GPU until after these.

    Raises:
        CornerRTError: On creation, if the artifact cannot be opened here, or a frame fails.
    """

    def __init__(
        self,
        artifact: Path,
        model: ModelChoice,
        clip: Clip,
        warmup: int,
        stage_range: StageRange | None = None,
    ) -> None:
        self.path = artifact
        with contextlib.ExitStack() as opened:
            watch = MemoryWatch(read_contract(artifact, verify=False).target)
            self.backend = open_backend(artifact, model.backend, model.threads)
            opened.callback(self.backend.close)
            watch.opened()
            self.postprocess = PostprocessOptions(model.score).suited_to(
                self.backend.contract.decode
            )
            if self.backend.contract.has_attention:
                self.postprocess = with_published_sigma(self.postprocess)
            reader = ClipReader(clip)
            opened.callback(reader.close)
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="measure-"))
            sink = JsonlSink(Path(folder) / "detections.jsonl", ROTATION)
            opened.callback(sink.discard)
            self.sequence = FrameSequence(self.backend, reader, self.postprocess, sink, stage_range)
            self.warmup = tuple(self.sequence.next_frame(True) for _ in range(warmup))
            self.memory = watch.memory()
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Release everything."""
        self._opened.close()
