"""One sink for each camera, where a file can hold one camera only."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from runtime.errors import UsageError
from runtime.frames import FrameResult
from runtime.sinks import Sink


class PerCamera:
    """Passes each result on to the sink of its camera.

    Args:
        name: The option that asks for the sinks.
        sinks: By the camera's name, alike in all but the file; at least one.
    """

    def __init__(self, name: str, sinks: Mapping[str, Sink]) -> None:
        self.name = name
        self.needs_picture = any(sink.needs_picture for sink in sinks.values())
        self.in_main_thread = any(sink.in_main_thread for sink in sinks.values())
        self._sinks = sinks

    def publish(self, result: FrameResult) -> None:
        """Take one result; raises as the camera's sink does."""
        self._sinks[result.camera].publish(result)

    def close(self) -> None:
        """Finish all, also when one of them fails; raises the last failure."""
        self._for_all(lambda sink: sink.close())

    def discard(self) -> None:
        """Give all up."""
        self._for_all(lambda sink: sink.discard())

    def _for_all(self, action: Callable[[Sink], None]) -> None:
        with contextlib.ExitStack() as stack:
            for sink in self._sinks.values():
                stack.callback(action, sink)


def file_label(camera: str) -> str:
    """Return a camera's name as part of a file's name: letters, digits, ``_`` and single ``-``."""
    return re.sub(r"\W+", "-", camera).strip("-") or "camera"


def camera_paths(option: str, path: Path, cameras: Sequence[str]) -> dict[str, Path]:
    """Return a file for each camera: ``out.mp4`` for the only one, else ``out-gate.mp4``.

    Args:
        option: That named the file, without dashes, for the message.
        path: The file.
        cameras: Names of the cameras.

    Raises:
        UsageError: If two cameras would share a file.
    """
    if len(cameras) == 1:
        return {cameras[0]: path}
    paths: dict[str, Path] = {}
    for camera in cameras:
        mine = path.with_name(f"{path.stem}-{file_label(camera)}{path.suffix}")
        other = next((name for name, taken in paths.items() if taken == mine), None)
        if other is not None:
            raise UsageError(
                f"--{option}: cameras {other!r} and {camera!r} would both write {mine}; expected "
                "names that differ in letters or digits; name them: --camera NAME=ADDRESS"
            )
        paths[camera] = mine
    return paths
