"""Comparing with an earlier measurement: what is refused, noticed and compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.baseline import (
    OTHER_DAY,
    check_conditions,
    compare_with_baseline,
    find_references,
)
from runtime.errors import UsageError
from runtime.measurement import Run
from runtime.measurement_file import read_measurement, write_measurement
from tests.fakes.frame_times import FrameTimes
from tests.fakes.measured import MACHINE, SETTINGS, in_power_mode, measurement_of, run_of

PATH = Path("then.json")
FLAT = [[10.0] * 5] * 8


def test_the_same_conditions_leave_one_notice_about_time() -> None:
    assert check_conditions(PATH, measurement_of(), MACHINE, SETTINGS) == (OTHER_DAY,)


@pytest.mark.parametrize(("key", "value"), [("cpu", "Other"), ("cores", 16), ("gpu", "H200")])
def test_another_machine_is_refused(key: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        check_conditions(PATH, measurement_of(), {**MACHINE, key: value}, SETTINGS)
    message = str(caught.value)
    assert f"--baseline then.json is of another machine: {key} {MACHINE[key]}" in message
    assert f"expected {value}; measure" in message


def test_other_threads_are_refused() -> None:
    with pytest.raises(UsageError, match="with threads 2; got 1 now"):
        check_conditions(PATH, measurement_of(), MACHINE, {**SETTINGS, "threads": 1})


@pytest.mark.parametrize(
    ("machine", "settings", "notice"),
    [
        ({"python": "3.12.1"}, {}, "its python was 3.11.0, now 3.12.1"),
        ({"libraries": {"numpy": "2.5"}}, {}, "its numpy was 2.4.6, now 2.5"),
        ({"libraries": {}}, {}, "its numpy was 2.4.6, now unknown"),
        ({}, {"frames": "test://"}, "its frames was clip.mp4, now test://"),
        ({}, {"score": 0.1}, "its score was unknown, now 0.1"),
    ],
)
def test_what_may_be_the_change_is_noticed(
    machine: dict[str, Any], settings: dict[str, Any], notice: str
) -> None:
    found = check_conditions(PATH, measurement_of(), MACHINE | machine, SETTINGS | settings)
    assert found == (OTHER_DAY, notice)


def test_the_same_file_is_found_without_a_notice() -> None:
    other, same = run_of(FLAT, "x.onnx"), run_of(FLAT, "y.onnx")
    other = replace(other, sha256="1" * 64)
    found = find_references(PATH, measurement_of(other, same), [run_of(FLAT, "moved.onnx")])
    assert found.runs == (same,)
    assert found.notices == ()


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        ({"sha256": "1" * 64}, "nano.onnx is not the baseline's file: digests differ"),
        (
            {"precision": "fp32", "sha256": "1" * 64},
            "nano.onnx has precision fp32, the baseline's nano.onnx has int8",
        ),
        (
            {"backend": "tensorrt"},
            "nano.onnx has backend tensorrt, the baseline's nano.onnx has on",
        ),
    ],
)
def test_another_artifact_is_noticed(change: dict[str, Any], notice: str) -> None:
    found = find_references(PATH, measurement_of(run_of(FLAT)), [replace(run_of(FLAT), **change)])
    assert len(found.notices) == 1
    assert found.notices[0].startswith(notice)


def test_a_rebuilt_artifact_meets_the_run_of_its_precision() -> None:
    int8 = replace(run_of(FLAT, "int8.onnx"), sha256="1" * 64)
    fp32 = replace(run_of(FLAT, "fp32.onnx"), sha256="2" * 64, precision="fp32")
    now = replace(run_of(FLAT, "new.onnx"), precision="fp32")
    assert find_references(PATH, measurement_of(int8, fp32), [now]).runs == (fp32,)


@pytest.mark.parametrize("change", [{"model": "cornernet-squeeze"}, {"size_hw": (256, 320)}])
def test_another_network_is_refused(change: dict[str, Any]) -> None:
    now = replace(run_of(FLAT), **change)
    with pytest.raises(UsageError) as caught:
        find_references(PATH, measurement_of(run_of(FLAT)), [now])
    message = str(caught.value)
    height, width = now.size_hw
    assert "holds cornernet-nano 320x320; expected" in message
    assert f"expected {now.model} {width}x{height} as nano.onnx is" in message


def test_a_file_without_runs_or_frames_is_refused() -> None:
    with pytest.raises(UsageError, match=r"holds no runs; expected"):
        find_references(PATH, measurement_of(), [run_of(FLAT)])
    run = run_of(FLAT)
    bare = replace(run, journey=replace(run.journey, rounds_ms=()))
    with pytest.raises(UsageError, match=r"no times of single frames of nano\.onnx"):
        find_references(PATH, measurement_of(bare), [run])


def test_a_file_keeps_what_intervals_take(tmp_path: Path) -> None:
    path = tmp_path / "then.json"
    rounds = FrameTimes().rounds(np.random.default_rng(1), 8, 5)
    write_measurement(measurement_of(run_of(rounds)), path)
    (run,) = find_references(path, read_measurement(path), [run_of(rounds)]).runs
    slower = run_of([[2 * ms for ms in one] for one in rounds], "now.onnx")
    found = compare_with_baseline(path, [slower], [run])
    assert {(one.artifact, one.baseline) for one in found} == {("now.onnx", str(path))}
    assert {one.verdict for one in found} == {"slower"}
    assert [one.ratio for one in found] == pytest.approx([2.0] * 4)
    # Rounds that did not take turns are drawn apart: even the same times leave an interval.
    assert all(one.low is not None and one.low < 1.99 for one in found)


@pytest.mark.parametrize("mode", ["25W", ""])
def test_another_power_mode_is_refused(mode: str) -> None:
    now, then = in_power_mode(run_of(FLAT), "15W"), in_power_mode(run_of(FLAT), mode)
    with pytest.raises(UsageError, match=f"in power mode {mode or chr(39) * 2}; got 15W now"):
        compare_with_baseline(PATH, [now], [then])


@pytest.mark.parametrize("then", [run_of(FLAT), in_power_mode(run_of(FLAT), "15W")])
def test_the_same_or_an_unknown_power_mode_is_compared(then: Run) -> None:
    now = in_power_mode(run_of(FLAT), "15W")
    assert len(compare_with_baseline(PATH, [now], [then])) == 4
