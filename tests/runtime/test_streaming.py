"""A stream as other programs use it."""

from __future__ import annotations

import doctest
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from runtime import sink_group, streaming
from runtime.backend_synthetic import SyntheticBackend
from runtime.contract import CenterDecodeParams
from runtime.errors import BackendError, OutputError, SourceError, UsageError
from runtime.frames import FrameResult
from runtime.options import parse_options
from runtime.sources import SourceSpec
from runtime.streaming import Stream, open_stream
from tests.builders import TINY_CONTRACT, picture, write_tiny_artifact, write_video
from tests.fakes.sinks import FakeSink
from tests.fakes.sources import FakeSource

ROOT = Path(__file__).resolve().parents[2]
PATTERN = "test://64x48@500?frames=20"


@pytest.fixture
def lines() -> list[str]:
    return []


def open_words(lines: list[str], *words: object) -> Stream:
    return Stream(parse_options([str(word) for word in words]), lines.append)


def left_threads() -> list[str]:
    names = ("capture", "inference", "results", "sink")
    return [t.name for t in threading.enumerate() if t.name.split()[0] in names]


def test_the_example_in_the_documentation_is_true() -> None:
    assert doctest.testmod(streaming).failed == 0


def test_results_are_iterated_over(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", frames=20)
    results = list(open_stream(video=video, backend="synthetic"))
    assert [result.frame.sequence for result in results] == list(range(20))
    assert {result.camera for result in results} == {"clip.mp4"}
    assert all(len(result.detections) == 4 for result in results)
    assert not left_threads()


@pytest.mark.parametrize(("family", "scores"), [("cornernet", 1), ("centernet", 2)])
def test_boxes_of_centres_are_not_suppressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, scores: int
) -> None:
    decode = {"cornernet": TINY_CONTRACT.decode, "centernet": CenterDecodeParams(3, 3)}[family]
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx", family=family, decode=decode)

    def twice(backend: SyntheticBackend, batch: np.ndarray) -> dict[str, np.ndarray]:
        outputs = run(backend, batch)
        outputs["boxes"][:] = outputs["boxes"][:, :1]
        outputs["class_ids"][:] = 0
        return outputs

    run = SyntheticBackend._run
    monkeypatch.setattr(SyntheticBackend, "_run", twice)
    (result,) = open_stream(
        artifact=artifact, backend="synthetic", camera="test://64x48@500?frames=1", score=0.75
    )
    assert len(result.detections) == scores  # 0.9 and 0.8 of the same place


def test_words_and_values_can_be_mixed_and_lists_repeat_an_option() -> None:
    stream = open_stream(["--backend", "synthetic"], camera=[f"a={PATTERN}", f"b={PATTERN}"])
    assert {result.camera for result in stream} == {"a", "b"}


def test_flags_and_what_is_left_out() -> None:
    options = {"track": True, "show": False, "artifact": None}
    with open_stream(camera=PATTERN, backend="synthetic", **options) as stream:
        assert all(result.tracks is not None for result in stream)


def test_parsed_options_stand_alone() -> None:
    options = parse_options(["--camera", PATTERN, "--backend", "synthetic"])
    with pytest.raises(TypeError, match=r"parsed options and \['score'\]"):
        open_stream(options, score=0.5)
    assert len(list(open_stream(options))) > 0


def test_a_wrong_value_is_the_command_lines_error() -> None:
    with pytest.raises(UsageError, match="--score: got '7'; expected a number from 0 to 1"):
        open_stream(camera="0", score=7)


def test_leaving_the_loop_ends_the_stream_and_finishes_files(tmp_path: Path) -> None:
    file = tmp_path / "o.jsonl"
    video = write_video(tmp_path / "clip.mp4", frames=200)
    for result in open_stream(video=video, backend="synthetic", jsonl=file):
        if result.frame.sequence == 3:
            break
    assert not left_threads()
    assert [json.loads(line)["frame"] for line in file.read_text().splitlines()][:4] == [0, 1, 2, 3]


def test_an_error_in_the_loop_ends_the_stream() -> None:
    with pytest.raises(ZeroDivisionError):
        with open_stream(camera=PATTERN, backend="synthetic") as stream:
            for _ in stream:
                raise ZeroDivisionError
    assert not left_threads()


def test_status_and_threshold_while_it_runs() -> None:
    stream = open_stream(camera="test://64x48@200", backend="synthetic")
    counts = []
    for result in stream:
        counts.append(len(result.detections))
        stream.set_score(0.85)
        if counts[-1] == 1:
            stream.stop()
    assert counts[0] == 4
    status = stream.status()
    assert (status.model, status.score) == ("synthetic", 0.85)
    assert status.cameras[0].results >= len(counts)


def test_run_ticks_and_returns_the_summary(lines: list[str]) -> None:
    ticks: list[int] = []
    stream = open_words(lines, "--camera", PATTERN, "--backend", "synthetic", "--drop", "block")
    summary = stream.run(lambda: ticks.append(1))
    assert 0 < summary.frames <= 20
    assert ticks
    assert lines == ["synthetic boxes, no network"]


def test_what_is_run_can_be_announced_apart() -> None:
    notices: list[str] = []
    announced: list[str] = []
    options = parse_options(["--camera", PATTERN, "--backend", "synthetic"])
    Stream(options, notices.append, announced.append).close()
    assert (notices, announced) == ([], ["synthetic boxes, no network"])


def specs_of(monkeypatch: pytest.MonkeyPatch, *specs: SourceSpec) -> None:
    monkeypatch.setattr(streaming, "open_sources", lambda _options: list(specs))


def refuse() -> FakeSource:
    raise SourceError("yard does not answer; expected a camera; check its cable")


def test_a_camera_that_does_not_open_closes_those_that_did(
    monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    gate = FakeSource([picture()], True)
    specs_of(monkeypatch, SourceSpec("gate", True, lambda: gate), SourceSpec("yard", True, refuse))
    with pytest.raises(SourceError, match="yard does not answer"):
        open_words(lines, "--camera", "0", "--backend", "synthetic")
    assert gate.closed


def test_a_camera_that_is_waited_for_joins_later(
    monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    attempts = []

    def open_late() -> FakeSource:
        attempts.append(1)
        return refuse() if len(attempts) < 3 else FakeSource([picture()] * 3, True)

    specs_of(monkeypatch, SourceSpec("yard", True, open_late))
    words = ["--camera", "0", "--backend", "synthetic", "--wait-for-cameras", "--max-frames", "1"]
    assert open_words(lines, *words).run().frames == 1
    assert "going on without it until it answers" in lines[0]
    assert any("yard is back" in line for line in lines)


def test_a_missing_file_is_not_waited_for(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(SourceError, match="no file at"):
        open_words(lines, "--video", tmp_path / "x.mp4", "--wait-for-cameras")


def test_what_was_opened_is_closed_when_the_rest_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    source = FakeSource([picture()])
    specs_of(monkeypatch, SourceSpec("clip", False, lambda: source))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--jsonl cannot write"):
        words = ["--video", "x.mp4", "--backend", "synthetic"]
        open_words(lines, *words, "--jsonl", tmp_path / "file" / "o.jsonl")
    assert source.closed


def test_a_port_in_use_is_an_error_before_the_stream(tmp_path: Path, lines: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises((OutputError, UsageError), match=str(port)):
            open_words(lines, "--camera", PATTERN, "--backend", "synthetic", "--serve", port)
    assert not left_threads()


def test_who_answers_already_stops_when_the_next_cannot_listen(lines: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = ["--camera", PATTERN, "--backend", "synthetic", "--metrics", "0"]
        with pytest.raises(OutputError):
            open_words(lines, *words, "--serve", taken.getsockname()[1])
    assert "metrics" not in [thread.name for thread in threading.enumerate()]


def test_zones_and_lines_reach_the_web_view(
    monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        streaming, "open_web_server", lambda *given: told.extend(one.name for one in given[3])
    )
    zone, line = "--zone=yard=0,0 1,0 1,1", "--line=gate=0.5,0 0.5,1"
    open_words(lines, "--camera", PATTERN, "--backend", "synthetic", zone, line).close()
    assert told == ["yard", "gate"]


def sinks_of(monkeypatch: pytest.MonkeyPatch, *sinks: FakeSink) -> None:
    def open_file_sinks(_options, _cameras, _names, cleanup):
        for sink in sinks:
            cleanup.callback(sink.discard)
        return list(sinks)

    monkeypatch.setattr(streaming, "open_file_sinks", open_file_sinks)


class Unclosable(FakeSink):
    """Takes everything and cannot be finished."""

    def close(self) -> None:
        raise OutputError("the disk is full")


def test_a_sink_that_cannot_be_finished_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = FakeSink(), FakeSink()
    sinks_of(monkeypatch, before, Unclosable(), after)
    summary = open_stream(camera=PATTERN, backend="synthetic").run()
    assert [sink.problem for sink in summary.sinks] == ["", "the disk is full", ""]
    assert (before.ended, after.ended) == ("closed", "closed")


def test_a_camera_that_is_lost_is_the_error_even_if_a_sink_cannot_be_finished(
    monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    gate = FakeSource([picture()] * 3, True, 0.01, ending="fail")
    specs_of(monkeypatch, SourceSpec("gate", True, lambda: gate))
    sound = FakeSink()
    sinks_of(monkeypatch, Unclosable(), sound)
    words = ["--camera", "0", "--backend", "synthetic", "--give-up-after", "0"]
    with pytest.raises(SourceError, match="unplugged"):
        open_words(lines, *words).run()
    assert lines[-1] == "--fake could not be finished: the disk is full"
    assert sound.ended == "closed"


def test_a_sink_that_hangs_at_the_end_of_a_camera_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()

    class Hanging(FakeSink):
        def publish(self, result: FrameResult) -> None:
            assert let_go.wait(30)

    monkeypatch.setattr(sink_group, "SINK_TIMEOUT_S", 0.5)
    hanging, sound = Hanging(), FakeSink()
    sinks_of(monkeypatch, sound, hanging)
    summary = open_stream(camera=PATTERN, backend="synthetic").run()
    let_go.set()
    assert (hanging.ended, sound.ended) == ("discarded", "closed")
    assert len(sound.results) + summary.sinks[0].dropped == summary.frames


def test_what_fails_after_the_loop_was_left_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = FakeSink(delay_s=0.05, fail_at=0)
    sinks_of(monkeypatch, sink)
    results = iter(open_stream(video=write_video(tmp_path / "c.mp4"), backend="synthetic"))
    next(results)
    with pytest.raises(OutputError, match="full"):
        results.close()
    assert sink.ended == "discarded"


def test_who_does_not_want_to_wait_for_a_camera_to_open_can_leave() -> None:
    script = """
import os, signal, threading, time
from runtime import sink_group, streaming
from runtime.sources import SourceSpec

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job may ignore it

def open_never():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(600)

streaming.open_sources = lambda options: [SourceSpec("gate", True, open_never)]
streaming.open_stream(camera="0", backend="synthetic")
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert "KeyboardInterrupt" in ended.stderr


def test_a_real_artifact(tmp_path: Path) -> None:
    artifact = write_tiny_artifact(tmp_path / "tiny.onnx")
    results = list(open_stream(camera=PATTERN, artifact=artifact, max_frames=3))
    assert len(results) == 3
    assert results[0].class_names[int(results[0].detections.class_ids[0])] in {"square", "circle"}


def test_a_stream_runs_once() -> None:
    stream = open_stream(camera=PATTERN, backend="synthetic")
    stream.run()
    with pytest.raises(RuntimeError, match="has ended; expected an open one"):
        stream.run()


def test_a_text_is_no_list_of_words() -> None:
    with pytest.raises(TypeError, match="got '0'; expected options by name, such as camera='0'"):
        open_stream("0")


@pytest.mark.parametrize(("is_live", "kept"), [(True, True), (False, False)])
def test_what_a_camera_gave_outlives_a_broken_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], is_live: bool, kept: bool
) -> None:
    def infer(backend: SyntheticBackend, frames: object) -> object:
        if backend._frames == 5:
            raise BackendError("network melted")
        return whole(backend, frames)

    whole = SyntheticBackend.infer_batch
    monkeypatch.setattr(SyntheticBackend, "infer_batch", infer)
    source = FakeSource([picture()] * 50, is_live, interval_s=0.01)
    specs_of(monkeypatch, SourceSpec("gate", is_live, lambda: source))
    file = tmp_path / "o.png"
    with pytest.raises(BackendError, match="melted"):
        words = ["--camera", "0", "--backend", "synthetic", "--contact-sheet", file]
        open_words(lines, *words).run()
    assert file.exists() is kept


def test_a_closed_stream_cannot_be_iterated_over() -> None:
    stream = open_stream(camera=PATTERN, backend="synthetic")
    stream.close()
    with pytest.raises(RuntimeError, match="has ended; expected an open one: open it again"):
        list(stream)


def test_pictures_cannot_be_written_to_since_others_see_them_too() -> None:
    for result in open_stream(camera=PATTERN, backend="synthetic", max_frames=1):
        with pytest.raises(ValueError, match="read-only"):
            result.frame.image[:] = 0
        result.annotated[:] = 0
