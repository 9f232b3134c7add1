"""Stream cameras, videos or folders of images through a detector.

python runtime/stream.py --camera 0
python runtime/stream.py --video clip.mp4 --save annotated.mp4 --jsonl detections.jsonl
python runtime/stream.py --camera gate=rtsp://10.0.0.7/main --camera 0 --serve 8080
python runtime/stream.py --camera 0 --record my-images --record-every 30
python runtime/stream.py --doctor
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

from runtime.atomic_file import write_text
from runtime.camera_list import list_cameras
from runtime.doctor import run_doctor
from runtime.errors import OutputError, run_command
from runtime.notices import print_last
from runtime.options import StreamOptions, build_parser, options_from, read_options
from runtime.service_notify import LONGEST_SILENCE_S, ServiceManager, Watchdog
from runtime.settings_text import settings_text
from runtime.stream_report import StatusLine, summary_json, summary_text
from runtime.stream_status import StreamSummary
from runtime.streaming import Stream


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run_command(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    settings = read_options(arguments)
    if settings.namespace.list_cameras:
        print(list_cameras())
        return 0
    if settings.namespace.doctor:
        return run_doctor()
    options = options_from(settings)
    if settings.namespace.print_config:
        print(settings_text(build_parser(), settings), end="")
        return 0
    with settings.errors_with_lines():
        return stream(options)


def stream(options: StreamOptions) -> int:
    """Stream as asked, print a summary and write it where asked; returns the exit status.

    Raises:
        CornerRTError: If anything cannot be opened, the stream fails, or a sink was given up.
    """
    # The network uses the cores; OpenCV's own pool would only compete with it on small pictures.
    cv2.setNumThreads(1)
    status_line, manager = StatusLine(), ServiceManager()
    with contextlib.closing(status_line), Stream(options, status_line.say, print) as opened:
        # A camera that is silent until it is opened again is no reason to start anew.
        patience_s = max(LONGEST_SILENCE_S, 2 * options.sources.stall_timeout)
        watchdog = Watchdog(manager, opened.status, status_line.say, patience_s)
        with _stop_on_interrupt(opened, manager):
            manager.ready()
            summary = opened.run(lambda: _tick(status_line, watchdog, opened))
    path = options.files.outputs.summary_json
    if path is not None:
        write_text(path, summary_json(summary, _facts(opened)))
    print_last(summary_text(summary))
    _check_sinks(summary)
    return 0


def _tick(status_line: StatusLine, watchdog: Watchdog, opened: Stream) -> None:
    status_line.update(opened.status)
    watchdog.tick()


def _facts(opened: Stream) -> dict[str, str]:
    contract = opened.backend.contract
    return {
        "source": ", ".join(spec.name for spec in opened.specs),
        "model": contract.name,
        "precision": contract.precision,
        "backend": opened.backend.name,
        "artifact_sha256": contract.artifact_sha256,
    }


def _check_sinks(summary: StreamSummary) -> None:
    """Let a program that started this one know of what was given up on the way."""
    failed = [sink for sink in summary.sinks if sink.problem]
    if failed:
        raise OutputError(
            "; ".join(f"--{sink.name} was given up: {sink.problem}" for sink in failed)
        )


@contextlib.contextmanager
def _stop_on_interrupt(opened: Stream, manager: ServiceManager) -> Iterator[None]:
    """Let the first Ctrl-C, SIGTERM or hang-up end the stream in good order, a second one at once.

    A hang-up, as when a connection by ssh breaks, that ``nohup`` lets ignore stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers belong to the main thread
        return

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        opened.stop()
        manager.stopping()
        restore()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        manager.stopping()
        restore()


if __name__ == "__main__":
    sys.exit(main())
