"""A sink for each camera."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import OutputError, UsageError
from runtime.frames import FrameResult
from runtime.per_camera import PerCamera, camera_paths, file_label
from tests.results import result


class Remembering:
    """A sink that remembers."""

    name = "x"
    in_main_thread = False

    def __init__(self, needs_picture: bool = False, fails: bool = False) -> None:
        self.needs_picture = needs_picture
        self.seen: list[int] = []
        self.ended = ""
        self._fails = fails

    def publish(self, result: FrameResult) -> None:
        self.seen.append(result.frame.sequence)

    def close(self) -> None:
        self.ended = "closed"
        if self._fails:
            raise OutputError("full")

    def discard(self) -> None:
        self.ended = "discarded"


def test_results_go_to_the_sink_of_their_camera() -> None:
    sinks = {"a": Remembering(), "b": Remembering(needs_picture=True)}
    sink = PerCamera("save", sinks)
    for sequence, camera in enumerate("abba"):
        sink.publish(result(sequence, camera=camera))
    assert (sinks["a"].seen, sinks["b"].seen) == ([0, 3], [1, 2])
    assert (sink.name, sink.needs_picture, sink.in_main_thread) == ("save", True, False)
    sink.discard()
    assert {one.ended for one in sinks.values()} == {"discarded"}


@pytest.mark.parametrize("failing", ["a", "b", "c"])
def test_one_that_fails_at_the_end_does_not_keep_the_others_open(failing: str) -> None:
    sinks = {camera: Remembering(fails=camera == failing) for camera in "abc"}
    with pytest.raises(OutputError, match="full"):
        PerCamera("save", sinks).close()
    assert {one.ended for one in sinks.values()} == {"closed"}


@pytest.mark.parametrize(
    ("camera", "label"),
    [
        *(("gate", "gate"), ("front gate", "front-gate"), ("/dev/video0", "dev-video0")),
        *(("Tür_2", "Tür_2"), ("../..", "camera"), ("rtsp://host:554/a?b", "rtsp-host-554-a-b")),
    ],
)
def test_names_become_parts_of_file_names(camera: str, label: str) -> None:
    assert file_label(camera) == label


def test_files_are_named_after_their_cameras() -> None:
    path = Path("x/out.mp4")
    assert camera_paths("save", path, ["gate"]) == {"gate": path}
    assert camera_paths("save", path, ["gate", "back yard"]) == {
        "gate": Path("x/out-gate.mp4"),
        "back yard": Path("x/out-back-yard.mp4"),
    }


def test_two_cameras_with_one_file_are_an_error() -> None:
    with pytest.raises(UsageError, match=r"cameras 'a b' and 'a/b' would both write out-a-b\.mp4"):
        camera_paths("save", Path("out.mp4"), ["a b", "a/b"])
