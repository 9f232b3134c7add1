"""The cost of taking times: that all ways do the same, and what is made of their times."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import cv2
import pytest

from benchmarks import profiling_overhead
from benchmarks.profiling_overhead import (
    CONTROL,
    PLAIN,
    RECORDED,
    RoundsInTurns,
    compare,
    main,
    open_ways,
    span_costs_ns,
)
from runtime.frames import FrameResult
from runtime.measured_clip import find_clip
from runtime.spans import FrameSpans
from tests.builders import write_tiny_artifact, write_video


def times_of(recorded: float) -> dict[str, list[list[float]]]:
    """Return seven rounds in which pictures take 10 to 80 ms, and recording is a factor."""
    plain = [[10.0, 80.0, 20.0]] * 7
    return {
        RECORDED: [[recorded * ms for ms in own] for own in plain],
        PLAIN: plain,
        CONTROL: plain,
    }


@pytest.mark.parametrize(("recorded", "is_met"), [(1.009, True), (1.02, False)])
def test_the_goal_is_one_per_cent_of_a_frame(recorded: float, is_met: bool) -> None:
    findings = compare({}, times_of(recorded), {})
    (goal,) = findings.goals
    assert goal.value == pytest.approx(recorded)
    assert goal.is_met is is_met
    paired = findings.facts["recorded / plain: median, 95 % interval"]
    assert paired == pytest.approx((recorded, recorded, recorded))
    assert findings.facts["plain again / plain: median, 95 % interval"] == (1, 1, 1)


def test_ways_take_turns_and_the_first_changes() -> None:
    called: list[str] = []
    rounds = RoundsInTurns({name: partial(called.append, name) for name in "abc"}, frames=4)
    medians = rounds()
    assert "".join(called) == "abcbcacababc"
    assert "".join(medians) == "abc"
    assert [[len(one) for one in own] for own in rounds.frames_ms.values()] == [[4]] * 3


class KeptResults:
    """A sink that keeps what a line would tell, in place of a file."""

    made: ClassVar[list[KeptResults]] = []

    def __init__(self, path: Path) -> None:
        self.lines: list[Any] = []
        self.made.append(self)

    def publish(self, result: FrameResult) -> None:
        self.lines.append((result.detections.boxes_xyxy.tolist(), result.annotated.tobytes()))

    def discard(self) -> None:
        """Nothing is kept after the test."""


def test_all_ways_do_the_same_with_the_same_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling_overhead, "JsonlSink", KeptResults)
    monkeypatch.setattr(KeptResults, "made", [])
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    clip = find_clip(str(write_video(tmp_path / "v.mp4", frames=3)))
    with open_ways(artifact, clip, threads=1) as ways:
        taken = [[take() for take in ways.values()] for _ in range(5)]
    assert list(ways) == [RECORDED, PLAIN, CONTROL]
    assert all(isinstance(one[0], FrameSpans) and one[1:] == [None, None] for one in taken)
    recorded, plain, control = (sink.lines for sink in KeptResults.made)
    assert len(recorded) == 5
    assert recorded == plain == control


def test_a_step_costs_something_and_ranges_that_are_off_less_than_a_frame() -> None:
    costs = span_costs_ns()
    assert 0 < costs["readings of one frame, ns"] < 1e6


def test_end_to_end(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    video = write_video(tmp_path / "v.mp4", frames=4)
    out, threads = tmp_path / "r.json", cv2.getNumThreads()
    words = ["--artifact", str(artifact), "--clip", str(video), "--frames", "3", "--rounds", "7"]
    assert main([*words, "--threads", "1", "--out", str(out)]) == 0
    assert cv2.getNumThreads() == threads
    body = json.loads(out.read_text("utf-8"))
    assert body["settings"] == {
        "artifact": "tiny.onnx",
        "clip": "v.mp4",
        "frames per round": 3,
        "threads": 1,
    }
    assert {label: len(own["values"]) for label, own in body["samples_ms"].items()} == {
        RECORDED: 7,
        PLAIN: 7,
        CONTROL: 7,
    }
    value, low, high = body["facts"]["recorded / plain: median, 95 % interval"]
    assert low <= value <= high


def test_a_missing_artifact_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--artifact", str(tmp_path / "none.onnx"), "--out", str(tmp_path / "r.json")]
    assert main([*words, "--clip", "test://"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
