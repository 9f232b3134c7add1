"""Stream a camera, video or folder of images through a detector.

python runtime/stream.py --camera 0
python runtime/stream.py --video clip.mp4 --save annotated.mp4 --jsonl detections.jsonl
python runtime/stream.py --camera 0 --record my-images --record-every 30
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: look up packages from the repository root
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2

from runtime.artifacts import open_newest
from runtime.atomic_file import write_text
from runtime.backend_base import Backend
from runtime.backend_synthetic import SyntheticBackend
from runtime.backends import open_backend
from runtime.camera_files import ImageFilesSource
from runtime.camera_opencv import CameraSource, VideoSource
from runtime.command_line import check_output
from runtime.contact_sheet import ContactSheetSink
from runtime.errors import SourceError, run_command
from runtime.frames import FrameResult
from runtime.options import BUILD_FOLDER, StreamOptions, parse_options
from runtime.pipeline import Pipeline, StreamSummary
from runtime.postprocess import PostprocessOptions
from runtime.recording import RecordingOptions, RecordingSink
from runtime.saccade import with_published_sigma
from runtime.sinks import JsonlSink, Sink, VideoSink, WindowSink
from runtime.sources import Source
from runtime.stream_report import StatusLine, summary_json, summary_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: run(parse_options(arguments)))


def run(options: StreamOptions) -> int:
    """Stream as asked, print a summary and write it where asked."""
    # The network uses the cores; OpenCV's own pool would only compete with it on small pictures.
    cv2.setNumThreads(1)
    with contextlib.closing(open_source(options)) as source:
        backend = choose_backend(options)
        with contextlib.closing(backend):
            summary = stream(options, source, backend)
    print(summary_text(summary))
    if options.summary_json is not None:
        facts = {
            "source": source.name,
            "model": backend.contract.name,
            "precision": backend.contract.precision,
            "backend": backend.name,
            "artifact_sha256": backend.contract.artifact_sha256,
        }
        write_text(options.summary_json, summary_json(summary, facts))
    return 0


def open_source(options: StreamOptions) -> Source:
    """Open the one source that was asked for."""
    if options.camera is not None:
        return CameraSource(options.camera)
    if options.video is not None:
        return VideoSource(options.video)
    return ImageFilesSource(options.images or "")


def choose_backend(options: StreamOptions) -> Backend:
    """Open the artifact that was asked for, or the newest that can run here, and say which."""
    if options.backend == "synthetic":
        synthetic = SyntheticBackend()
        synthetic.open(options.artifact)
        print("synthetic boxes, no network")
        return synthetic
    if options.artifact is None:
        choice = open_newest(BUILD_FOLDER, options.backend, options.threads)
        print(f"{choice.artifact} on {choice.backend.name} ({choice.reason})")
        return choice.backend
    backend = open_backend(options.artifact, options.backend, options.threads)
    print(f"{options.artifact} on {backend.name} (asked for)")
    return backend


def stream(options: StreamOptions, source: Source, backend: Backend) -> StreamSummary:
    """Move pictures from the source to the sinks.

    When a live source fails, what was recorded until then is kept, since it cannot be recorded
    again; after any other error no output file stays behind.
    """
    presented = 0
    with contextlib.ExitStack() as cleanup:
        sinks = open_sinks(options, source, backend, cleanup)
        status = StatusLine()
        cleanup.callback(status.close)
        postprocess = PostprocessOptions(options.score)
        if backend.contract.has_attention:
            postprocess = with_published_sigma(postprocess)
        pipeline = Pipeline(source, backend, sinks, postprocess, options.max_frames)

        def on_frame(result: FrameResult) -> None:
            nonlocal presented
            presented += 1
            status.update(result, pipeline.dropped)
            if any(isinstance(sink, WindowSink) and sink.quit_requested for sink in sinks):
                pipeline.request_stop()

        try:
            with _stop_on_interrupt(pipeline):
                summary = pipeline.run(on_frame)
        except SourceError:
            if source.is_live and presented > 0:
                _close_all(sinks)
            raise
        _close_all(sinks)
    return summary


def open_sinks(
    options: StreamOptions, source: Source, backend: Backend, cleanup: contextlib.ExitStack
) -> list[Sink]:
    """Open the sinks that were asked for; ``cleanup`` discards those that were not closed."""
    for name, path in options.outputs.items():
        check_output(name, path)  # some are written only at the end
    sinks: list[Sink] = []

    def add(sink: Sink) -> None:
        sinks.append(sink)
        cleanup.callback(sink.discard)

    if options.save is not None:
        add(VideoSink(options.save, source.frame_rate, keep_time=source.is_live))
    if options.jsonl is not None:
        add(JsonlSink(options.jsonl, backend.contract.class_names))
    if options.contact_sheet is not None:
        add(ContactSheetSink(options.contact_sheet))
    if options.record is not None:
        check_output("--record", options.record / "picture.jpg")
        recording = RecordingOptions(options.record, options.record_every, options.record_most)
        add(RecordingSink(recording, source.is_live))
    if options.show:
        add(WindowSink())
    return sinks


def _close_all(sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        sink.close()


@contextlib.contextmanager
def _stop_on_interrupt(pipeline: Pipeline) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the stream in good order, and a second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers belong to the main thread
        return

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        pipeline.request_stop()
        restore()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        restore()


if __name__ == "__main__":
    sys.exit(main())
