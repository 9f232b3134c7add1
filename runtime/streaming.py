"""A stream for programs: open it with the options of ``stream.py``, and take its results.

from runtime.streaming import open_stream

for result in open_stream(camera="rtsp://gate.local/main", score=0.4):
    print(result.camera, result.frame.sequence, len(result.detections))
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from runtime.backend_base import Backend
from runtime.camera_analysis import CameraRate
from runtime.file_sinks import CameraFacts, open_file_sinks
from runtime.flow import CameraInput, FlowOptions
from runtime.frames import FrameResult
from runtime.metrics_server import open_metrics_server
from runtime.notices import print_notice
from runtime.open_model import open_model
from runtime.open_sources import open_all, open_sources
from runtime.options import StreamOptions, parse_options
from runtime.pipeline import Pipeline
from runtime.postprocess import PostprocessOptions
from runtime.saccade import with_published_sigma
from runtime.sink_mqtt import open_mqtt_sink
from runtime.sink_window import WindowSink
from runtime.sinks import Sink
from runtime.source_reader import ReaderOptions, Report
from runtime.sources import DEFAULT_FRAME_RATE, Source
from runtime.stream_status import StreamControl, StreamStatus, StreamSummary
from runtime.tracking import open_tracking
from runtime.web_view import open_web_server, web_sink
from runtime.zones import Line, Zone


class Stream:
    """A stream whose cameras, artifact and sinks are open. Runs once: iterate over it, or ``run``.

    Use it in a ``with`` statement, or run it to its end: both release everything. A sink's file
    stays behind where the stream ended well, and after any error that followed results of a camera,
    since those cannot be had again; after an error with files alone it does not.

    Args:
        options: What to stream.
        report: Takes a line for the user, in any thread: every camera or sink that fails or comes
            back.
        announce: Takes a line that says what is run; goes to ``report`` if left out.

    Raises:
        CornerRTError: If anything that was asked for cannot be opened.
    """

    def __init__(
        self, options: StreamOptions, report: Report, announce: Report | None = None
    ) -> None:
        self._report = report
        self._is_closed = False
        with contextlib.ExitStack() as opened:
            self.specs = open_sources(options.sources)
            self._is_live = any(spec.is_live for spec in self.specs)
            sources = open_all(self.specs, options.sources.wait_for_cameras, report)
            for source in sources:
                if source is not None:
                    opened.callback(source.close)
            self.backend = open_model(options.model, announce or report)
            opened.callback(self.backend.close)
            self._sinks = self._open_sinks(options, sources, opened)
            cameras = self._cameras(options, sources)
            flow = _flow_options(options, self.backend)
            self._pipeline = Pipeline(cameras, self.backend, self._sinks, flow, report)
            self._open_services(options, opened)
            self._opened = opened.pop_all()

    def __enter__(self) -> Stream:
        """Return the stream."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release everything."""
        self.close()

    def __iter__(self) -> Iterator[FrameResult]:
        """Stream, and yield every result in the calling thread.

        Who is slow loses results of cameras, and delays those of files. Leaving the loop early ends
        the stream.

        Raises:
            CornerRTError: The first fatal error.
        """
        with self, contextlib.closing(self._pipeline.results(self._tick)) as results:
            with self._finishing():
                yield from results

    def run(self, on_tick: Callable[[], None] | None = None) -> StreamSummary:
        """Stream until all sources end, as many pictures are done as were asked for, or ``stop``.

        Args:
            on_tick: Called some times per second in the calling thread.

        Raises:
            CornerRTError: The first fatal error.
        """

        def tick() -> None:
            self._tick()
            if on_tick is not None:
                on_tick()

        with self:
            with self._finishing():
                self._pipeline.run(tick)
            return self._pipeline.summary()

    def stop(self) -> None:
        """End in good order; from a signal handler or any thread."""
        self._pipeline.request_stop()

    def status(self) -> StreamStatus:
        """Return a snapshot of now; from any thread."""
        return self._pipeline.status()

    def set_score(self, score: float) -> None:
        """Keep boxes from this score on, beginning with the next picture; from any thread.

        Raises:
            UsageError: If it is not in [0, 1].
        """
        self._pipeline.set_score(score)

    def close(self) -> None:
        """Release everything; what was not finished is discarded. May be called again."""
        self._is_closed = True
        self._opened.close()

    @contextlib.contextmanager
    def _finishing(self) -> Iterator[None]:
        """Finish the sinks after a good end, and after any that followed results of a camera."""
        if self._is_closed:
            raise RuntimeError("this stream has ended; expected an open one: open it again")
        try:
            yield
        except GeneratorExit:  # whoever iterates had enough: a good end
            self._pipeline.close_sinks()
            raise
        except BaseException:
            if self._is_live and any(camera.results for camera in self.status().cameras):
                self._pipeline.close_sinks()
            raise
        self._pipeline.close_sinks()

    def _tick(self) -> None:
        if any(isinstance(sink, WindowSink) and sink.quit_requested for sink in self._sinks):
            self.stop()

    def _open_sinks(
        self,
        options: StreamOptions,
        sources: Sequence[Source | None],
        opened: contextlib.ExitStack,
    ) -> list[Sink]:
        rates = zip(self.specs, sources, strict=True)
        facts = [CameraFacts(spec.name, spec.is_live, _rate_of(own)) for spec, own in rates]
        sinks = open_file_sinks(options.files, facts, self.backend.contract.class_names, opened)
        self._web_sink = web_sink(options.web)
        for sink in (open_mqtt_sink(options.mqtt, self._report), self._web_sink):
            if sink is not None:
                opened.callback(sink.discard)
                sinks.append(sink)
        return sinks

    def _cameras(
        self, options: StreamOptions, sources: Sequence[Source | None]
    ) -> list[CameraInput]:
        names = [spec.name for spec in self.specs]
        tracking = open_tracking(options.tracking, self.backend.contract.class_names, names)
        cameras = []
        for spec, source in zip(self.specs, sources, strict=True):
            rate = CameraRate(spec.is_live, _rate_of(source)())
            analysis = None if tracking is None else tracking.for_camera(spec.name, rate)
            draw = None if analysis is None else analysis.draw_places
            cameras.append(CameraInput(spec, source, analysis, draw))
        return cameras

    def _open_services(self, options: StreamOptions, opened: contextlib.ExitStack) -> None:
        """Start what answers others while the stream runs."""
        control: StreamControl = self
        places: list[Zone | Line] = [*options.tracking.zone, *options.tracking.line]
        metrics = open_metrics_server(options.metrics, control, self._report)
        if metrics is not None:
            opened.callback(metrics.close)
        view = open_web_server(options.web, self._web_sink, control, places)
        if view is not None:
            opened.callback(view.close)


def open_stream(
    options: StreamOptions | Sequence[str] | None = None, /, **values: object
) -> Stream:
    """Open a stream.

    Args:
        options: As parsed, or as words of ``stream.py``'s command line.
        values: Options by name, with underscores: ``camera=["0", "rtsp://..."]``, ``score=0.4``,
            ``track=True``. Added to ``options`` where those are words.

    Raises:
        CornerRTError: If options make no sense, or anything cannot be opened.
    """
    if isinstance(options, str):
        raise TypeError(f"got {options!r}; expected options by name, such as camera={options!r}")
    if not isinstance(options, StreamOptions):
        words = [*(options or ()), *_words_from(values)]
        options = parse_options(words)
    elif values:
        raise TypeError(f"got parsed options and {sorted(values)}; expected one or the other")
    return Stream(options, print_notice)


def _words_from(values: dict[str, object]) -> list[str]:
    """Return what would say the same on the command line."""
    words: list[str] = []
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words += [option] if value else []
        elif value is not None:
            each = value if isinstance(value, list | tuple) else [value]
            words += [f"{option}={one}" for one in each]
    return words


def _rate_of(source: Source | None) -> Callable[[], float]:
    """Return what tells a source's frame rate, a usual one where it is not open yet."""
    return lambda: DEFAULT_FRAME_RATE if source is None else source.frame_rate


def _flow_options(options: StreamOptions, backend: Backend) -> FlowOptions:
    postprocess = PostprocessOptions(options.model.score).suited_to(backend.contract.decode)
    if backend.contract.has_attention:
        postprocess = with_published_sigma(postprocess)
    reader = ReaderOptions(
        wait_for_first=options.sources.wait_for_cameras,
        give_up_after_s=options.sources.give_up_after,
    )
    return FlowOptions(
        postprocess=postprocess,
        dropping=options.model.drop,
        batching=options.model.batching,
        reader=reader,
        max_frames=options.model.max_frames,
    )
