"""From two artifacts, a set and a stream's figures to the page; nothing written after bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.demo_summary import main
from tests.benchmarks.artifacts import (
    STAGES,
    write_pair,
    write_stream_figures,
    write_validation_set,
)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A folder as the demo leaves it; also ``val/`` and the artifacts beside it."""
    artifacts = write_pair(tmp_path)
    write_validation_set(tmp_path / "val")
    write_stream_figures(tmp_path / "demo" / "stream.json", artifacts["int8"])
    (tmp_path / "demo" / "annotated.mp4").write_bytes(b"video")
    return tmp_path / "demo"


def run(demo: Path) -> int:
    beside = demo.parent
    words = ["--folder", str(demo), "--val", str(beside / "val")]
    for precision in ("fp32", "int8"):
        words += [f"--{precision}", str(beside / f"tiny-{precision}.onnxruntime.onnx")]
    return main(words)


def check_refused(demo: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(demo) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err
    assert not list(demo.glob("summary.*"))


def test_page_and_json_agree_with_what_was_measured(demo: Path, capsys: pytest.CaptureFixture[str]):
    assert run(demo) == 0
    page = (demo / "summary.md").read_text()
    assert capsys.readouterr().out == page + "\n"
    assert "**18.0 FPS**, 2 dropped" in page
    body = json.loads((demo / "summary.json").read_text())
    assert body["format"] == "cornerrt-demo-1" and body["command"] == "make demo"
    # Two objects found exactly, and a weaker third box beside the first.
    assert body["accuracy"]["fp32"]["ap"] == body["accuracy"]["int8"]["ap"] == pytest.approx(1.0)
    assert body["accuracy"]["int8"]["images"] == 1
    assert body["difference"]["ap"] == 0.0 and body["difference"]["ap_large"] is None
    assert list(body["stream"]["stages"]) == list(STAGES)
    assert body["files"]["annotated.mp4"] == 5 and body["files"]["contact_sheet.png"] is None
    artifact = demo.parent / "tiny-int8.onnxruntime.onnx"
    assert body["artifact_bytes"]["int8"] == artifact.stat().st_size


def test_missing_stream_figures(demo: Path, capsys: pytest.CaptureFixture[str]):
    (demo / "stream.json").unlink()
    check_refused(demo, "--summary-json", capsys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": "many"}, "'many'; expected a number"),
        ({"frames": True}, "True; expected a number"),
        ({"stages": []}, "malformed"),
        ({"stages": {"network": {"count": 1}}}, "has no 'mean_ms'"),
        ({"artifact_sha256": "0" * 64}, "is about artifact 000000000000"),
    ],
)
def test_stream_figures_that_do_not_fit(
    changes: dict[str, object], message: str, demo: Path, capsys: pytest.CaptureFixture[str]
):
    artifact = demo.parent / "tiny-int8.onnxruntime.onnx"
    write_stream_figures(demo / "stream.json", artifact, **changes)
    check_refused(demo, message, capsys)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_stream_figures_that_are_no_record(
    text: str, demo: Path, capsys: pytest.CaptureFixture[str]
):
    (demo / "stream.json").write_text(text)
    check_refused(demo, "malformed", capsys)


def test_a_missing_figure_is_named(demo: Path, capsys: pytest.CaptureFixture[str]):
    record = json.loads((demo / "stream.json").read_text())
    del record["dropped"]
    (demo / "stream.json").write_text(json.dumps(record))
    check_refused(demo, "has no 'dropped'", capsys)


def test_a_missing_artifact(demo: Path, capsys: pytest.CaptureFixture[str]):
    (demo.parent / "tiny-fp32.onnxruntime.onnx").unlink()
    check_refused(demo, "no file at", capsys)


def test_a_missing_validation_set(demo: Path, capsys: pytest.CaptureFixture[str]):
    (demo.parent / "val" / "annotations.json").unlink()
    check_refused(demo, "expected COCO annotations", capsys)


def test_a_set_with_other_classes(demo: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "val" / "annotations.json"
    path.write_text(path.read_text().replace("circle", "disc"))
    check_refused(demo, "evaluate on a set with the same classes", capsys)
