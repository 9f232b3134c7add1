"""Restarts of a real RTSP server in small, and the arithmetic of what was due."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from benchmarks.streaming_restarts import (
    Recovery,
    ResultClock,
    judge,
    longest_backoff_s,
    main,
)
from runtime.detections import Detections
from runtime.frames import NO_PICTURE, Frame, FrameResult
from tests.fakes.rtsp_server import MISSING_PACKAGES, is_available


def result(number: int, captured_s: float) -> FrameResult:
    frame = Frame(NO_PICTURE, "gate", number, int(captured_s * 1e9))
    return FrameResult("gate", frame, Detections.empty(), ("a",), {}, (1, 1))


def test_the_back_off_that_is_due_grows_to_its_limit() -> None:
    assert [longest_backoff_s(attempts) for attempts in (0, 1, 2, 3, 50)] == [0, 0.5, 1, 2, 30]


def test_the_slowest_recovery_is_judged_without_its_back_off() -> None:
    good, bad = Recovery(0.1, 1, 0.5, 2.4), Recovery(3.0, 3, 2.0, 4.1)
    assert all(goal.is_met for goal in judge([good], 0, 1, {}).goals)
    goals = judge([good, bad], 1, 1, {}).goals
    assert goals[0].value == pytest.approx(2.1)
    assert [goal.is_met for goal in goals] == [False, False, False]


def test_an_old_picture_is_no_recovery() -> None:
    clock = ResultClock()
    clock.publish(result(0, captured_s=5.0))
    assert clock.wait_for(5.0, timeout_s=0.0) is None
    later = threading.Timer(0.01, clock.publish, [result(1, captured_s=6.0)])
    later.start()
    assert clock.wait_for(5.0, timeout_s=30.0) is not None
    later.join()
    assert clock.reordered == 0
    clock.publish(result(1, captured_s=7.0))
    assert clock.reordered == 1


@pytest.mark.slow
@pytest.mark.skipif(not is_available(), reason=MISSING_PACKAGES)
def test_restarts_in_small(tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    assert main(["--times", "2", "--live-s", "0.2", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    recoveries = body["facts"]["recoveries"]
    assert len(recoveries) == 2 and all(own["attempts"] >= 1 for own in recoveries)
    goals = {goal["name"]: goal["value"] for goal in body["goals"]}
    assert goals["recoveries"] == 2 and goals["results reordered or repeated"] == 0
