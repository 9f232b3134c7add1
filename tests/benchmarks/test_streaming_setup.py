"""Sources that benchmarks stream from, and the networks that they stream through."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import pytest

from benchmarks.streaming_setup import (
    CompleteSource,
    camera_input,
    counted,
    open_networks,
    open_synthetic,
    pattern_cameras,
)
from runtime.errors import SourceError, UsageError
from runtime.pattern_picture import read_frame_number
from tests.builders import write_tiny_artifact


def networks_of(artifacts: list[Path], synthetic_ms: list[float]) -> argparse.Namespace:
    return argparse.Namespace(artifact=artifacts, synthetic_ms=synthetic_ms, threads=1)


def test_a_complete_source_delivers_every_number_and_ends() -> None:
    source = CompleteSource("clip", lambda: source.delivered == 3)
    frames = [source.read() for _ in range(3)]
    assert [read_frame_number(frame.image) for frame in frames if frame] == [0, 1, 2]
    assert [frame.sequence for frame in frames if frame] == [0, 1, 2]
    assert source.read() is None and source.delivered == 3
    assert not source.is_live


def test_an_open_camera_is_not_opened_again() -> None:
    camera = camera_input(CompleteSource("clip", lambda: True))
    assert camera.source is not None and camera.spec.name == "clip"
    with pytest.raises(SourceError, match="cannot be opened again"):
        camera.spec.open()


def test_cameras_have_names_of_their_own_and_are_live() -> None:
    cameras = pattern_cameras(3)
    assert [camera.spec.name for camera in cameras] == ["camera 1", "camera 2", "camera 3"]
    assert all(camera.spec.is_live for camera in cameras)


def test_one_thing_and_several() -> None:
    assert [counted(count, "viewer") for count in (0, 1, 8)] == [
        "0 viewers",
        "1 viewer",
        "8 viewers",
    ]


def test_networks_are_opened_by_name_and_closed(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.x.onnx")
    with contextlib.ExitStack() as stack:
        networks = open_networks(networks_of([artifact], [2.5]), stack)
        assert [(name, own.name) for name, own in networks.items()] == [
            ("tiny", "onnxruntime"),
            ("synthetic 2.5 ms", "synthetic"),
        ]


@pytest.mark.parametrize(("delays", "message"), [([], "no network"), ([1, 1], "different names")])
def test_bad_networks_are_refused(delays: list[float], message: str) -> None:
    with contextlib.ExitStack() as stack, pytest.raises(UsageError, match=message):
        open_networks(networks_of([], delays), stack)


def test_a_synthetic_network_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    open_synthetic(7.0).close()
    assert slept == [0.007]  # the warm-up
