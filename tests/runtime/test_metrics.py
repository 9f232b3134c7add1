"""Figures for Prometheus, read back by its own parser."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="pip install -e '.[metrics]'")
from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics import metrics_text
from runtime.source_state import SourceState
from runtime.stream_status import CameraStatus, SinkStatus, StreamStatus
from runtime.timing import StageSummary

TIMES = StageSummary(200, 8.0, 7.0, 12.0, 20.0)
AGO_NS = 3_000_000_000
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class FakeControl:
    """Gives a status of the test's."""

    def __init__(self, *cameras: CameraStatus, sinks: tuple[SinkStatus, ...] = ()) -> None:
        stages = {"network": TIMES}
        self._status = StreamStatus(
            "cornernet-nano", "int8", "tensorrt", 0.3, 12.5, cameras, sinks, stages
        )

    def status(self) -> StreamStatus:
        return self._status

    def set_score(self, score: float) -> None:
        raise AssertionError("metrics change nothing")


def gate(**changes: Any) -> CameraStatus:
    values: dict[str, Any] = {
        **{"captured": 100, "dropped": 7, "skipped": 3, "results": 90, "detections": 41},
        **{"reconnects": 2, "frames_per_second": 29.5, "age_ms": 45.0},
        "last_result_ns": time.monotonic_ns() - AGO_NS,
        "line_counts": {"door": {"in": 5, "out": 2}},
        "zone_counts": {"yard": 3},
    }
    return CameraStatus("gate", SourceState.LIVE, **{**values, **changes})


def read(control: FakeControl) -> Samples:
    text = metrics_text(control).decode("utf-8")
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, f"{key} comes twice"
            samples[key] = sample.value
    return samples


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        (
            "cornerrt_build_info",
            {"model": "cornernet-nano", "precision": "int8", "backend": "tensorrt"},
            1,
        ),
        ("cornerrt_uptime_seconds", {}, 12.5),
        ("cornerrt_score_threshold_ratio", {}, 0.3),
        ("cornerrt_camera_frames_captured_total", {"camera": "gate"}, 100),
        ("cornerrt_camera_frames_dropped_total", {"camera": "gate"}, 7),
        ("cornerrt_camera_frames_skipped_total", {"camera": "gate"}, 3),
        ("cornerrt_camera_results_total", {"camera": "gate"}, 90),
        ("cornerrt_camera_detections_total", {"camera": "gate"}, 41),
        ("cornerrt_camera_reconnects_total", {"camera": "gate"}, 2),
        ("cornerrt_camera_frames_per_second", {"camera": "gate"}, 29.5),
        ("cornerrt_camera_result_age_seconds", {"camera": "gate"}, 0.045),
        ("cornerrt_camera_state", {"camera": "gate", "state": "live"}, 1),
        ("cornerrt_camera_state", {"camera": "gate", "state": "stalled"}, 0),
        ("cornerrt_line_crossings_total", {"camera": "gate", "line": "door", "direction": "in"}, 5),
        (
            "cornerrt_line_crossings_total",
            {"camera": "gate", "line": "door", "direction": "out"},
            2,
        ),
        ("cornerrt_zone_objects", {"camera": "gate", "zone": "yard"}, 3),
        ("cornerrt_stage_duration_seconds", {"stage": "network", "quantile": "0.5"}, 0.007),
        ("cornerrt_stage_duration_seconds", {"stage": "network", "quantile": "0.95"}, 0.012),
        ("cornerrt_stage_duration_seconds", {"stage": "network", "quantile": "0.99"}, 0.020),
        ("cornerrt_stage_duration_seconds_count", {"stage": "network"}, 200),
        ("cornerrt_stage_duration_seconds_sum", {"stage": "network"}, 1.6),
        ("cornerrt_sink_results_published_total", {"sink": "jsonl"}, 80),
        ("cornerrt_sink_results_dropped_total", {"sink": "jsonl"}, 10),
        ("cornerrt_sink_failed", {"sink": "jsonl"}, 0),
        ("cornerrt_sink_publish_duration_seconds_count", {"sink": "jsonl"}, 200),
        ("cornerrt_sink_failed", {"sink": "save"}, 1),
    ],
)
def test_every_figure_is_there(name: str, labels: dict[str, str], expected: float) -> None:
    sinks = (
        SinkStatus("jsonl", 80, 10, "", TIMES),
        SinkStatus("save", 1, 0, "No space left on device"),
    )
    samples = read(FakeControl(gate(), sinks=sinks))
    assert value(samples, name, **labels) == pytest.approx(expected)


def test_the_time_since_the_last_result_is_that_of_the_scrape() -> None:
    samples = read(FakeControl(gate()))
    since_s = value(samples, "cornerrt_camera_since_last_result_seconds", camera="gate")
    assert AGO_NS / 1e9 <= since_s < AGO_NS / 1e9 + 60


def test_a_camera_is_in_one_state() -> None:
    for state in SourceState:
        samples = read(FakeControl(CameraStatus("a", state)))
        states = {
            dict(labels)["state"]: is_in
            for (name, labels), is_in in samples.items()
            if name == "cornerrt_camera_state"
        }
        assert states == {one.value: float(one is state) for one in SourceState}


def test_what_is_not_known_yet_is_left_out() -> None:
    samples = read(FakeControl(CameraStatus("a", SourceState.CONNECTING)))
    names = {name for name, _ in samples}
    assert "cornerrt_camera_result_age_seconds" not in names
    assert "cornerrt_camera_since_last_result_seconds" not in names
    assert value(samples, "cornerrt_camera_results_total", camera="a") == 0


def test_a_stream_without_cameras_and_sinks_can_be_read() -> None:
    assert ("cornerrt_uptime_seconds", frozenset()) in read(FakeControl())


def test_the_process_is_measured_too() -> None:
    samples = read(FakeControl())
    assert value(samples, "process_resident_memory_bytes") > 1e6
    assert value(samples, "process_cpu_seconds_total") > 0


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "T\u00fcr \u25a1", "a{b}", ""])
def test_names_come_back_as_they_were(name: str) -> None:
    samples = read(FakeControl(CameraStatus(name, SourceState.LIVE, results=4)))
    assert value(samples, "cornerrt_camera_results_total", camera=name) == 4


def test_two_sinks_of_one_name_are_told_apart() -> None:
    samples = read(FakeControl(sinks=(SinkStatus("jsonl", 1), SinkStatus("jsonl", 2))))
    assert value(samples, "cornerrt_sink_results_published_total", sink="jsonl") == 1
    assert value(samples, "cornerrt_sink_results_published_total", sink="jsonl-2") == 2


def test_names_follow_the_conventions_and_problems_are_not_shown() -> None:
    secret = "rtsp://me:hunter2@host failed"
    status = gate(problem=secret)
    text = metrics_text(FakeControl(status, sinks=(SinkStatus("save", problem=secret),))).decode()
    assert "hunter2" not in text
    families = list(text_string_to_metric_families(text))
    assert len(families) > 20
    for family in families:
        assert re.fullmatch(r"(cornerrt|process)_[a-z_]+", family.name), family.name
        assert family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge", "summary"), family.name
        assert not re.search(r"_(ms|milliseconds|kb|percent)(_|$)", family.name)


def test_the_number_of_series_grows_with_the_cameras_only() -> None:
    def series(cameras: int) -> int:
        return len(
            read(
                FakeControl(
                    *(CameraStatus(str(n), SourceState.LIVE, results=n) for n in range(cameras))
                )
            )
        )

    assert series(3) - series(2) == series(2) - series(1) < 20


def test_several_threads_may_read_at_once() -> None:
    control = FakeControl(gate())
    texts: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: texts.append(metrics_text(control))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 8
