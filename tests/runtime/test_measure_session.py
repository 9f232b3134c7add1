"""Whole measurements of a tiny model: every part, several artifacts, short clips, sensors."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runtime import device_monitor, measure_session
from runtime.device_samples import DeviceSample
from runtime.errors import BackendError, SourceError, UsageError
from runtime.measure_rounds import FRAMES_TO_SETTLE, RoundSettings
from runtime.measure_session import SessionResult, settings_beside, settings_for
from runtime.measured_clip import Clip
from runtime.options_measure import parse_options
from runtime.soak_run import NoSensors
from tests.builders import picture, write_tiny_artifact
from tests.fakes.fake_tensorrt import write_tiny_engine
from tests.fakes.sources import FakeSource

SHORT = "--warmup 2 --count 14 --rounds 7 --live-seconds 0 --batches 0 --no-cold-start --threads 1"


def clip_of(pictures: int) -> Clip:
    return Clip("fake", 50.0, lambda: FakeSource([picture()] * pictures))


def session(artifacts: list[Path], words: str = SHORT, pictures: int = 30) -> SessionResult:
    options = parse_options([*map(str, artifacts), *words.split()])
    return measure_session.measure_session(options, clip_of(pictures), print)


@pytest.fixture(name="artifact")
def tiny_artifact(tmp_path: Path) -> Path:
    return write_tiny_artifact(tmp_path / "tiny.onnx")


@pytest.fixture(autouse=True)
def no_sensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_monitor, "open_monitor", lambda root: None)
    monkeypatch.setattr(measure_session, "SHORTEST_TURN_S", 0.02)


def test_frames_alone(artifact: Path) -> None:
    result = session([artifact])
    (run,) = result.runs
    assert (run.artifact, run.model, run.backend) == (str(artifact), "tiny", "onnxruntime")
    assert run.frames == 14 and len(run.journey.warmup_ms) == 2
    assert [len(round_) for round_ in run.journey.rounds_ms] == [2] * 7
    assert len(result.frames[0]) == 16 and result.device_samples == ()
    assert run.memory is not None and len(run.sha256) == 64
    assert (run.live, run.throughput, run.cold_start, run.layers, run.device) == (
        None,
        (),
        None,
        None,
        None,
    )


def test_stages_sum_to_the_whole_within_two_percent(artifact: Path) -> None:
    (run,) = session([artifact]).runs
    total_ms = sum(stage.latency.mean_ms for stage in run.journey.stages)
    assert total_ms == pytest.approx(run.journey.end_to_end.mean_ms, rel=0.02)


def test_every_part_that_is_asked_for(artifact: Path) -> None:
    words = "--warmup 1 --count 7 --rounds 7 --live-seconds 0.2 --batches 1 2 --threads 1"
    (run,) = session([artifact], f"{words} --layers --soak 0.002").runs
    assert run.live is not None and run.live.frames_per_second == 50.0
    assert [entry.batch for entry in run.throughput] == [1, 2]
    assert run.cold_start is not None and run.cold_start.total_ms > 0
    assert run.layers is not None and run.layers.layers
    assert run.journey.decode_ms is not None
    assert run.device is not None and run.device.windows


def test_a_live_run_may_have_another_rate(artifact: Path) -> None:
    words = SHORT.replace("--live-seconds 0", "--live-seconds 0.2 --camera-rate 20")
    (run,) = session([artifact], words).runs
    assert run.live is not None and run.live.frames_per_second == 20.0


def test_several_artifacts_have_the_same_rounds_and_settle_in_each(tmp_path: Path) -> None:
    artifacts = [write_tiny_artifact(tmp_path / name) for name in ("a.onnx", "b.onnx")]
    first, second = session(artifacts).runs
    for run in (first, second):
        assert [len(round_) for round_ in run.journey.rounds_ms] == [2] * 7
        assert len(run.journey.warmup_ms) == 2 + 7 * FRAMES_TO_SETTLE


class Board(NoSensors):
    """Tells its power; notes that it was closed."""

    name = "Fake board"
    total_rail = "VDD_IN"
    closed = False

    def sample(self) -> DeviceSample:
        return DeviceSample(time.perf_counter_ns(), {"VDD_IN": 9_000.0})

    def close(self) -> None:
        self.closed = True


def test_sensors_are_read_beside_the_frames(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    board, roots = Board(), []

    def open_monitor(root: Path) -> Board:
        roots.append(root)
        return board

    monkeypatch.setattr(device_monitor, "open_monitor", open_monitor)
    result = session([artifact], f"{SHORT} --device-root {tmp_path}")
    device = result.runs[0].device
    assert device is not None and device.power_mw == {"VDD_IN": pytest.approx(9_000.0)}
    assert roots == [tmp_path] and board.closed and len(result.device_samples) >= 2
    assert result.runs[0].frames > 14  # turns long enough to have samples


def test_turns_stay_as_they_are_where_no_power_is_told_or_no_picture_is_left() -> None:
    settings = RoundSettings(14, 1.0, 7)
    again, once = (parse_options(["a.onnx", *words]).frames for words in ([], ["--once"]))
    assert settings_beside(None, settings, again) == settings
    assert settings_beside(NoSensors(), settings, again) == settings
    assert settings_beside(Board(), settings, once) == settings
    assert settings_beside(Board(), settings, again).least_s > 0


def test_batches_that_an_artifact_does_not_take_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write = write_tiny_artifact(tmp_path / "tiny.onnx")
    options = parse_options([str(write), *SHORT.replace("--batches 0", "--batches 1").split()])
    assert measure_session.measure_session(options, clip_of(3), print).runs[0].throughput
    assert "left out" not in capsys.readouterr().out


def test_a_clip_as_short_as_the_warmup_is_shown_again_and_that_is_said(artifact: Path) -> None:
    said: list[str] = []
    frames = parse_options([str(artifact), "--warmup", "5"]).frames
    settings_for(clip_of(5), frames, 1, said.append)
    assert said == [
        "fake has 5 pictures, no more than the 5 of the warm-up: it is shown from the start again"
    ]
    settings_for(clip_of(6), frames, 1, said.append)
    assert len(said) == 1


@pytest.mark.parametrize(
    ("pictures", "artifacts", "counted"), [(4, 1, 1), (9, 1, 6), (99, 1, 14), (18, 2, 1)]
)
def test_shown_once_a_clip_is_used_up_to_its_end(
    artifact: Path, pictures: int, artifacts: int, counted: int
) -> None:
    frames = parse_options([str(artifact), "--once", *SHORT.split()]).frames
    assert settings_for(clip_of(pictures), frames, artifacts, print).count == counted


def test_shown_once_a_clip_must_be_longer_than_its_warmup(artifact: Path) -> None:
    message = r"fake has 3 pictures; expected more than the 3 that do not count \(2 of the warm-up"
    with pytest.raises(UsageError, match=message):
        session([artifact], f"{SHORT} --once", pictures=3)


def test_shown_once_no_picture_comes_twice(artifact: Path) -> None:
    opened: list[FakeSource] = []

    def open_source() -> FakeSource:
        opened.append(FakeSource([picture()] * 9))
        return opened[-1]

    options = parse_options([str(artifact), "--once", *SHORT.split()])
    result = measure_session.measure_session(options, Clip("fake", 30.0, open_source), print)
    assert result.runs[0].frames == 6
    _, _, shown = opened  # the first two were counted
    assert shown.reads == 9


def test_a_clip_without_pictures_is_an_error(artifact: Path) -> None:
    with pytest.raises(SourceError, match="fake holds no picture"):
        session([artifact], pictures=0)


def test_an_engine_without_a_gpu_is_an_error(tmp_path: Path) -> None:
    engine = write_tiny_engine(tmp_path / "tiny.engine")
    with pytest.raises(BackendError, match="no backend here runs a 'tensorrt' artifact"):
        session([engine])
