"""The soak in small, and its arithmetic with planted growth and gaps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.streaming_probes import Memory, OrderProbe
from benchmarks.streaming_soak import (
    count_gaps,
    growth_after_warmup,
    main,
    memory_course,
    soak_goals,
)


def lines(path: Path, numbers: list[int], camera: str = "gate") -> None:
    rows = [json.dumps({"camera": camera, "frame": number}) + "\n" for number in numbers]
    path.write_text("".join(rows), encoding="utf-8")


def course(kib_per_s: float, seconds: int = 3600, base: int = 100_000) -> list[tuple[float, int]]:
    """Return memory that leaps during the first minute and grows steadily from then on."""
    return [(float(s), base // 2 if s < 60 else base + int(kib_per_s * s)) for s in range(seconds)]


def test_growth_leaves_the_first_minute_out() -> None:
    assert growth_after_warmup(course(0.0)) == 1.0
    # Medians lie half a minute after the first and before the last: 3480 s of 3600 in between.
    assert growth_after_warmup(course(1.0)) == pytest.approx(1 + 3480 / 100_090, abs=1e-4)
    assert growth_after_warmup(course(-1.0)) < 1.0


def test_a_short_run_is_cut_in_thirds() -> None:
    samples = [(0.0, 1), (1.0, 100), (2.0, 100), (9.0, 110)]  # a machine that stood still
    assert growth_after_warmup(samples) == pytest.approx(1.1)
    assert growth_after_warmup(samples[1:2]) == 1.0


def test_goals_name_what_was_planted() -> None:
    order = OrderProbe()
    order.missing["gate"], order.reordered, order.wrong_pictures = 2, 3, 4
    memory = [(at, Memory(size, 100)) for at, size in course(1.0)]
    goals = soak_goals(order, 5, memory)
    assert [goal.value for goal in goals[:4]] == [2, 3, 4, 5]
    assert [goal.is_met for goal in goals] == [False] * 5 + [True]


def test_the_course_of_memory_keeps_the_largest() -> None:
    samples = [(float(at), Memory(100 + (at == 25), 50)) for at in range(41)]
    kept = memory_course(samples)
    assert kept["seconds"] == [0, 10, 20, 30, 40] and kept["samples"] == 41
    assert kept["largest_resident_kib"] == 101 and set(kept["resident_kib"]) == {100}


def test_gaps_are_found_across_rotated_files(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines(path.with_name("r.jsonl.2"), [7, 8])  # what came before was deleted
    lines(path.with_name("r.jsonl.1"), [9, 10])
    lines(path, [11, 12])
    assert count_gaps(path) == 0
    lines(path, [12, 13])
    assert count_gaps(path) == 1
    lines(path, [12, 11])
    assert count_gaps(path) == 2


@pytest.mark.slow
def test_the_soak_in_small(tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    words = ["--minutes", "0.06", "--cameras", "2", "--network-ms", "2", "--out", str(out)]
    assert main(words) == 0
    body = json.loads(out.read_text())
    zeros = {goal["name"]: goal["value"] for goal in body["goals"][:4]}
    assert len(zeros) == 4 and set(zeros.values()) == {0.0}, zeros
    assert set(body["facts"]["results"]) == {"camera 1", "camera 2"}
    assert min(body["facts"]["results"].values()) > 0
    assert body["facts"]["memory"]["samples"] >= 1


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--minutes", "0"], ["--cameras", "0"], ["--out", "r.txt"]):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
