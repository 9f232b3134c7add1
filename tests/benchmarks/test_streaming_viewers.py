"""Viewers in a process of their own, in small, and the comparison with none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra web")
pytest.importorskip("uvicorn", reason="needs the extra web")

from benchmarks import streaming_viewers
from benchmarks.common import Samples, Turn
from benchmarks.streaming_viewers import compare, main


def one_round(turns: Sequence[Turn], rounds: int, warmup: int) -> Samples:
    return {label: [value] * rounds for turn in turns for label, value in turn().items()}


def test_every_number_of_viewers_is_set_against_none() -> None:
    samples = {"n, 0 viewers": [10.0] * 7, "n, 1 viewer": [10.2] * 7, "n, 8 viewers": [11.0] * 7}
    findings = compare(samples, ["n"], [0, 1, 8], {"seconds": 1, "pictures_seen": {"x": [1]}})
    assert [(goal.name, goal.is_met) for goal in findings.goals] == [
        ("n, 1 viewer / none", True),
        ("n, 8 viewers / none", False),
    ]
    assert findings.goals[1].value == pytest.approx(1.1)
    assert findings.facts == {"pictures_seen": {"x": [1]}} and findings.settings == {"seconds": 1}


def test_viewers_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming_viewers, "SETTLE_S", 0.0)
    monkeypatch.setattr(streaming_viewers, "run_rounds", one_round)
    out = tmp_path / "r.json"
    words = ["--synthetic-ms", "5", "--viewers", "2", "--seconds", "0.1"]
    assert main([*words, "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert set(body["samples_ms"]) == {"synthetic 5 ms, 0 viewers", "synthetic 5 ms, 2 viewers"}
    seen = body["facts"]["pictures_seen"]
    assert set(seen["synthetic 5 ms, 0 viewers"]) == {0}
    assert min(seen["synthetic 5 ms, 2 viewers"]) >= 2  # each got one at least
    assert len(body["goals"]) == 1


def test_viewers_that_see_nothing_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming_viewers, "CAMERA", "")
    with (
        pytest.raises(RuntimeError, match="saw nothing"),
        streaming_viewers._watching(1, 1),  # nobody listens on port 1
    ):
        pass


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--synthetic-ms", "1", "--viewers", "-1"]):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
