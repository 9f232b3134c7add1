"""A CenterNet in the trainer: it learns, is evaluated, and goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from detectors import train
from detectors.checkpoints import save_checkpoint
from detectors.evaluate import main as evaluate
from detectors.registry import build_detector
from tests.detectors.tiny_training import (
    differing,
    one_thread_fixture,  # noqa: F401 - pytest finds fixtures by their module
)

NAME = "centernet-nano"


def words(shapes: Path, out: Path, *more: str) -> list[str]:
    return [
        *("--data", str(shapes), "--out", str(out), "--model", NAME, "--size", "64", "64"),
        *("--steps", "4", "--batch", "2", "--warmup", "2", "--log-every", "1", "--save-every", "2"),
        *("--workers", "0", "--threads", "1", "--device", "cpu", "--precision", "float32", *more),
    ]


@pytest.mark.usefixtures("one_thread")
def test_it_learns_from_its_own_losses_and_resumes(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    check = ("--validation", str(shapes), "--evaluate-images", "2", "--evaluate-every", "4")
    assert train.main(words(shapes, whole, *check)) == 0
    assert "best AP" in capsys.readouterr().out
    lines = map(json.loads, (whole / "log.jsonl").read_text().splitlines())
    records = [record for record in lines if "size" in record]
    assert len(records) == 4 and all(record["size"] > 0 for record in records)
    assert train.main(words(shapes, parts, "--stop-after", "2")) == 0
    assert train.main(words(shapes, parts, "--resume")) == 0
    one, other = (load_file(out / f"{NAME}.safetensors") for out in (whole, parts))
    assert differing(one, other) == []


@pytest.mark.usefixtures("one_thread")
def test_it_begins_with_the_body_of_the_other_nano(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.safetensors"
    save_checkpoint(build_detector("cornernet-nano", 3), other, {})
    out = tmp_path / "out"
    assert train.main(words(shapes, out, "--init", str(other), "--stop-after", "1")) == 0
    captured = capsys.readouterr()
    assert f"begin with the body of {other}" in captured.out + captured.err
    weights = ["--weights", str(out / f"{NAME}.safetensors"), "--model", NAME]
    data = ["--data", str(shapes), "--limit", "2", "--size", "64", "64"]
    assert evaluate([*data, *weights]) == 0
    assert evaluate([*data[:4], *weights, "--protocol", "published"]) == 2
    error = capsys.readouterr().err
    assert "got --protocol published, the test of the CornerNets; centernet-nano is of" in error
    assert evaluate([*data, *weights[:2], "--model", "cornernet-nano"]) == 2
    assert "holds weights of centernet-nano; expected cornernet-nano" in capsys.readouterr().err
