"""The command as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime import file_sinks, stream, streaming
from runtime.contract import contract_path
from runtime.errors import OutputError, SourceError
from runtime.sources import Source, SourceSpec
from tests.builders import TINY_BOXES_XYXY, picture, write_images, write_tiny_artifact, write_video
from tests.fakes.sinks import FakeSink
from tests.fakes.sources import FakeSource

SCRIPT = Path(stream.__file__)


@pytest.fixture(autouse=True)
def restore_opencv_threads() -> Iterator[None]:
    threads = cv2.getNumThreads()
    yield
    cv2.setNumThreads(threads)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_tiny_artifact(tmp_path / "build" / "tiny.onnx")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", frames=12, frame_rate=25)


def run(*arguments: object) -> int:
    return stream.main([str(argument) for argument in arguments])


def count_frames(path: Path) -> int:
    capture, frames = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        frames += 1
    return frames


def one_error_line(captured_err: str) -> str:
    lines = captured_err.splitlines()
    assert len(lines) == 1, captured_err
    assert lines[0].startswith("error: ")
    return lines[0]


def test_a_video_becomes_every_output(tmp_path: Path, artifact: Path, video: Path, capsys) -> None:
    out = tmp_path / "out"
    outputs = ["--save", out / "o.mp4", "--jsonl", out / "o.jsonl"]
    outputs += ["--contact-sheet", out / "o.png", "--summary-json", out / "o.json"]
    assert run("--video", video, "--artifact", artifact, *outputs) == 0
    assert sorted(p.name for p in out.iterdir()) == ["o.json", "o.jsonl", "o.mp4", "o.png"]

    assert count_frames(out / "o.mp4") == 12
    assert cv2.VideoCapture(str(out / "o.mp4")).get(cv2.CAP_PROP_FPS) == 25
    lines = [json.loads(line) for line in (out / "o.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(12))
    summary = json.loads((out / "o.json").read_text())
    assert (summary["frames"], summary["dropped"], summary["backend"]) == (12, 0, "onnxruntime")
    assert summary["detections"] == sum(len(line["detections"]) for line in lines)

    printed = capsys.readouterr()
    assert printed.err == ""
    assert "12 frames" in printed.out
    assert f"{artifact} on onnxruntime (asked for)" in printed.out


def test_boxes_are_the_models_in_the_pixels_of_the_video(
    tmp_path: Path, artifact: Path, video: Path
) -> None:
    assert run("--video", video, "--artifact", artifact, "--jsonl", tmp_path / "o.jsonl") == 0
    first = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[0])
    # 64x48 on a 64x64 canvas: eight rows above, scale one.
    by_class = {d["class_name"]: d["box_xyxy"] for d in reversed(first["detections"])}
    np.testing.assert_allclose(by_class["square"], TINY_BOXES_XYXY[0] - [0, 8, 0, 8])
    np.testing.assert_allclose(by_class["circle"], TINY_BOXES_XYXY[1] - [0, 8, 0, 8])


def test_without_an_artifact_the_newest_in_build_is_taken_and_named(
    tmp_path: Path, artifact: Path, video: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    os.utime(artifact, (100, 100))
    write_tiny_artifact(tmp_path / "build" / "newer.onnx")
    assert run("--video", video) == 0
    assert "build/newer.onnx on onnxruntime (newest in build/" in capsys.readouterr().out


def test_images_of_every_kind_are_streamed(tmp_path: Path, artifact: Path) -> None:
    folder = write_images(tmp_path / "images", 1)
    cv2.imwrite(str(folder / "grey.png"), picture()[:, :, 0])
    cv2.imwrite(str(folder / "deep.png"), picture().astype(np.uint16) << 8)
    cv2.imwrite(str(folder / "pixel.png"), picture(1, 1))
    save, lines = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    arguments = ["--images", folder, "--artifact", artifact, "--save", save, "--jsonl", lines]
    assert run(*arguments) == 0
    sources = [json.loads(line)["source"] for line in lines.read_text().splitlines()]
    assert sources == ["0.png", "deep.png", "grey.png", "pixel.png"]
    assert count_frames(save) == 4


def test_max_frames_ends_early(tmp_path: Path, artifact: Path, video: Path) -> None:
    save = tmp_path / "o.mp4"
    arguments = ["--video", video, "--artifact", artifact, "--save", save, "--max-frames", 5]
    assert run(*arguments) == 0
    assert count_frames(save) == 5


def test_a_high_score_leaves_no_detection(tmp_path: Path, artifact: Path, video: Path) -> None:
    lines = tmp_path / "o.jsonl"
    assert run("--video", video, "--artifact", artifact, "--score", 1.0, "--jsonl", lines) == 0
    assert all(not json.loads(line)["detections"] for line in lines.read_text().splitlines())


def break_artifact(path: Path, how: str) -> None:
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif how == "no contract":
        contract_path(path).unlink()
    elif how == "broken contract":
        contract_path(path).write_text('{"format": ')
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "cut short"),
        ("no contract", "no contract at"),
        ("broken contract", "is not JSON"),
        ("missing", "no file at"),
    ],
)
def test_a_broken_artifact_is_one_line(
    tmp_path: Path, artifact: Path, video: Path, capfd, how: str, message: str
) -> None:
    break_artifact(artifact, how)
    save = tmp_path / "out" / "o.mp4"
    assert run("--video", video, "--artifact", artifact, "--save", save) == 2
    assert message in one_error_line(capfd.readouterr().err)
    assert not save.parent.exists()


def make_source(folder: Path, kind: str) -> list[str]:
    video, images = folder / "bad.mp4", folder / "images"
    images.mkdir()
    if kind == "camera":
        return ["--camera", "97"]
    if kind == "no video":
        return ["--video", str(video)]
    if kind == "truncated video":
        write_video(video)
        video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
        return ["--video", str(video)]
    if kind == "empty video":
        video.touch()
        return ["--video", str(video)]
    if kind == "broken image":
        write_images(images, 2)
        (images / "1.png").write_bytes(b"")
    return ["--images", str(images)]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("camera", "camera 97 does not exist"),
        ("no video", "no file at"),
        ("truncated video", "cannot be decoded"),
        ("empty video", "cannot be decoded"),
        ("empty folder", "holds no image"),
        ("broken image", "1.png cannot be decoded"),
    ],
)
def test_a_bad_source_is_one_line_and_leaves_nothing(
    tmp_path: Path, artifact: Path, capfd, kind: str, message: str
) -> None:
    out = tmp_path / "out"
    source = make_source(tmp_path, kind)
    outputs = [
        "--save",
        out / "o.mp4",
        "--jsonl",
        out / "o.jsonl",
        "--contact-sheet",
        out / "o.png",
    ]
    assert run(*source, "--artifact", artifact, *outputs, "--summary-json", out / "o.json") == 2
    assert message in one_error_line(capfd.readouterr().err)
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize("arguments", [[], ["--camera", "x"], ["--images", ".", "--score", "7"]])
def test_a_wrong_command_line_is_one_line(arguments: list[str], capsys) -> None:
    assert run(*arguments) == 2
    one_error_line(capsys.readouterr().err)


def test_nothing_built_yet_is_one_line(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--video", video) == 2
    assert "make engine" in one_error_line(capsys.readouterr().err)


@pytest.mark.parametrize("option", ["--save", "--jsonl", "--contact-sheet", "--summary-json"])
def test_an_output_that_cannot_be_written_is_one_line_before_the_stream(
    tmp_path: Path, artifact: Path, video: Path, capsys, option: str
) -> None:
    (tmp_path / "file").write_text("")
    suffix = {"--save": ".mp4", "--contact-sheet": ".png"}.get(option, "")
    bad = tmp_path / "file" / f"o{suffix}"
    lines = tmp_path / "lines" / "o.jsonl"
    arguments = ["--video", video, "--artifact", artifact, option, bad]
    assert run(*arguments, *([] if option == "--jsonl" else ["--jsonl", lines])) == 2
    assert f"{option} cannot write in {bad.parent}" in one_error_line(capsys.readouterr().err)
    assert not list(tmp_path.rglob("*.jsonl"))


@pytest.mark.parametrize("kind", ["one pixel", "16 bits", "grey", "one row"])
def test_unusual_pictures_are_streamed(tmp_path: Path, artifact: Path, kind: str) -> None:
    image = {
        "one pixel": picture()[:1, :1],
        "16 bits": picture().astype(np.uint16) * 257,
        "grey": picture()[..., 0],
        "one row": picture(1, 900),
    }[kind]
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    cv2.imwrite(str(images / "0.png"), image)
    outputs = [
        "--jsonl",
        out / "o.jsonl",
        "--save",
        out / "o.mp4",
        "--contact-sheet",
        out / "o.png",
    ]
    assert run("--images", images, "--artifact", artifact, *outputs) == 0
    (line,) = (out / "o.jsonl").read_text().splitlines()
    assert json.loads(line)["image_hw"] == list(image.shape[:2])
    assert len(list(out.iterdir())) == 3


def test_showing_without_a_window_is_one_line_and_leaves_nothing(
    tmp_path: Path, artifact: Path, video: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    out = tmp_path / "out"
    arguments = ["--video", video, "--artifact", artifact, "--save", out / "o.mp4", "--show"]
    assert run(*arguments) == 2
    assert "--show" in one_error_line(capsys.readouterr().err)
    assert list(out.iterdir()) == []


def stream_from(monkeypatch: pytest.MonkeyPatch, source: FakeSource) -> None:
    """Let the command read a fake in place of what it was told to."""

    def specs(_options: object) -> list[SourceSpec]:
        return [SourceSpec(source.name, source.is_live, opened.__next__)]

    def open_once() -> Iterator[Source]:
        yield source
        while True:
            raise SourceError("fake camera is gone; expected it back")

    opened = open_once()
    monkeypatch.setattr(streaming, "open_sources", specs)


def test_a_camera_that_stays_away_keeps_what_was_recorded(
    tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    stream_from(monkeypatch, FakeSource([picture()] * 5, True, 0.02, "fail"))
    save, lines = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    arguments = ["--camera", 0, "--artifact", artifact, "--save", save, "--jsonl", lines]
    assert run(*arguments, "--give-up-after", 0) == 2
    assert "fake camera was unplugged" in one_error_line(capsys.readouterr().err)
    assert count_frames(save) >= 1
    assert len(lines.read_text().splitlines()) >= 1


def test_a_camera_that_dies_at_once_leaves_nothing(
    tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    stream_from(monkeypatch, FakeSource([], is_live=True, ending="fail"))
    out = tmp_path / "out"
    arguments = ["--camera", 0, "--artifact", artifact, "--save", out / "o.mp4"]
    assert run(*arguments) == 2
    one_error_line(capsys.readouterr().err)
    assert list(out.iterdir()) == []


def test_a_sink_that_fails_discards_the_others(
    tmp_path: Path, artifact: Path, video: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    failing = FakeSink(fail_at=3)
    monkeypatch.setattr(file_sinks, "ContactSheetSink", lambda _path: failing)
    out = tmp_path / "out"
    arguments = ["--video", video, "--artifact", artifact, "--save", out / "o.mp4"]
    arguments += ["--jsonl", out / "o.jsonl", "--contact-sheet", out / "o.png"]
    assert run(*arguments) == 2
    assert "fake sink is full" in one_error_line(capsys.readouterr().err)
    assert failing.ended == "discarded"
    assert list(out.iterdir()) == []


def test_a_sink_of_a_camera_that_fails_is_told_twice_and_the_exit_status_says_so(
    tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(file_sinks, "ContactSheetSink", lambda _path: FakeSink(fail_at=1))
    lines = tmp_path / "o.jsonl"
    arguments = ["--camera", "test://64x48@200?frames=30", "--artifact", artifact]
    sheet = ["--contact-sheet", tmp_path / "o.png"]
    assert run(*arguments, *sheet, "--jsonl", lines, "--drop", "latest") == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith("notice: --fake failed and is given up, the stream goes on")
    assert said[1] == "error: --fake was given up: fake sink is full"
    assert len(lines.read_text().splitlines()) > 1


def test_a_sink_that_fails_at_the_end_discards_the_others(
    tmp_path: Path, artifact: Path, video: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    class FullAtTheEnd(FakeSink):
        def close(self) -> None:
            raise OutputError("disk is full")

    monkeypatch.setattr(file_sinks, "VideoSink", lambda *_, **__: FullAtTheEnd())
    out = tmp_path / "out"
    arguments = ["--video", video, "--artifact", artifact, "--save", out / "o.mp4"]
    assert run(*arguments, "--jsonl", out / "o.jsonl") == 2
    assert "disk is full" in one_error_line(capsys.readouterr().err)
    assert list(out.iterdir()) == []


def test_the_window_key_ends_the_stream(
    artifact: Path, video: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    class Window(FakeSink):
        quit_requested = True
        in_main_thread = True

        def __init__(self, _names: object) -> None:
            super().__init__(name="show")

    for module in (streaming, file_sinks):
        monkeypatch.setattr(module, "WindowSink", Window)
    source = FakeSource([picture()] * 1000)
    stream_from(monkeypatch, source)
    assert run("--video", video, "--artifact", artifact, "--show") == 0
    assert source.reads < 1000


def test_several_sources_are_streamed_together(tmp_path: Path, artifact: Path, capsys) -> None:
    videos = [write_video(tmp_path / f"{name}.mp4", frames=10) for name in "ab"]
    arguments = [word for video in videos for word in ("--video", video)]
    lines, save = tmp_path / "o.jsonl", tmp_path / "out" / "o.mp4"
    assert run(*arguments, "--artifact", artifact, "--jsonl", lines, "--save", save) == 0
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    for name in ("a.mp4", "b.mp4"):
        assert [r["frame"] for r in records if r["camera"] == name] == list(range(10))
    assert [count_frames(path) for path in sorted(save.parent.iterdir())] == [10, 10]
    assert "camera" in capsys.readouterr().out


def test_settings_are_printed_and_nothing_is_opened(tmp_path: Path, capsys) -> None:
    words = ["--camera", "97", "--camera", "rtsp://u:geheim@h/x", "--score", "0.5"]
    assert run(*words, "--print-config") == 0
    printed = capsys.readouterr().out
    assert "score = 0.5" in printed
    assert "geheim" not in printed


def test_the_cameras_are_listed_without_a_source(capsys) -> None:
    assert run("--list-cameras") == 0
    assert capsys.readouterr().out.strip()


BLOCKED = """
    import sys
    class Block:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in {"torch", "onnx", "onnxruntime", "onnxscript", "tensorrt",
                                      "tensorrt_rtx", "tensorrt_rtx_bindings", "pycuda"}:
                raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)
    sys.meta_path.insert(0, Block())
    sys.path.insert(0, sys.argv.pop(1))
    from runtime import stream
    sys.exit(stream.main(sys.argv[1:]))
"""


LONG = 8000


def run_blocked(*arguments: object) -> subprocess.CompletedProcess[str]:
    root = SCRIPT.parents[1]
    command = [sys.executable, "-c", textwrap.dedent(BLOCKED), root, *arguments]
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_synthetic_stream_needs_neither_torch_nor_onnx_nor_a_runtime(
    tmp_path: Path, video: Path
) -> None:
    save, lines = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    done = run_blocked("--video", video, "--backend", "synthetic", "--save", save, "--jsonl", lines)
    assert (done.returncode, done.stderr) == (0, "")
    assert count_frames(save) == 12
    assert len(lines.read_text().splitlines()) == 12


def test_an_artifact_without_its_runtime_is_one_line(
    tmp_path: Path, video: Path, artifact: Path
) -> None:
    done = run_blocked("--video", video, "--artifact", artifact)
    assert done.returncode == 2
    assert "onnxruntime is not installed" in one_error_line(done.stderr)
    assert "pip install onnxruntime" in done.stderr


def test_a_sink_of_a_camera_that_fails_at_the_end_leaves_the_summary_and_the_others(
    tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    class FullAtTheEnd(FakeSink):
        def close(self) -> None:
            raise OutputError("disk is full")

    monkeypatch.setattr(file_sinks, "ContactSheetSink", lambda _path: FullAtTheEnd())
    lines, summary = tmp_path / "o.jsonl", tmp_path / "o.json"
    arguments = ["--camera", "test://64x48@200?frames=30", "--artifact", artifact]
    outputs = ["--contact-sheet", tmp_path / "o.png", "--jsonl", lines, "--summary-json", summary]
    assert run(*arguments, *outputs) == 2
    printed = capsys.readouterr()
    assert "frames in" in printed.out
    assert printed.err.splitlines() == [
        "notice: --fake could not be finished: disk is full",
        "error: --fake was given up: disk is full",
    ]
    assert json.loads(summary.read_text())["frames"] == len(lines.read_text().splitlines())


def test_a_prefix_of_an_option_is_none(capsys) -> None:
    assert run("--camera", "test://", "--scor", "0.5") == 2
    assert "unrecognized arguments: --scor" in one_error_line(capsys.readouterr().err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    # Long enough that the signal always comes first; ending does not wait for the rest.
    video = write_video(tmp_path / "long.mp4", frames=LONG)
    save, lines = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    command = [sys.executable, SCRIPT, "--video", video, "--backend", "synthetic"]
    command += ["--save", save, "--jsonl", lines, "--summary-json", tmp_path / "o.json"]
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup lets its jobs ignore it
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGHUP, inherited)
    partial = tmp_path / f".o.{process.pid}.part.jsonl"
    while process.poll() is None and not (partial.exists() and partial.stat().st_size):
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    frames = json.loads((tmp_path / "o.json").read_text())["frames"]
    assert 0 < frames < LONG
    assert f"{frames} frames in" in out
    assert count_frames(save) == frames
    assert len(lines.read_text().splitlines()) == frames
    assert not list(tmp_path.glob(".o.*"))


def test_the_script_runs_from_any_folder_and_explains_itself(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "--camera" in done.stdout
