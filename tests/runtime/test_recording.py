"""Recording pictures of a stream."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime import disk_budget, notices
from runtime.camera_files import ImageFilesSource, read_image
from runtime.disk_budget import BudgetOptions, WhenFull
from runtime.errors import OutputError
from runtime.recording import RecordingOptions, RecordingSink, RecordWhen
from tests.builders import picture
from tests.fakes.disks import make_read_only, small_disk
from tests.results import found, result

NO_LIMIT = BudgetOptions(None, WhenFull.STOP, reserve_bytes=0)


def options(folder: Path, every: int = 1, most: int | None = 100) -> RecordingOptions:
    return RecordingOptions(folder, every, most, RecordWhen.EVERY, (0.3, 0.5), NO_LIMIT)


def sink_for(recording: RecordingOptions, is_live: bool = True) -> RecordingSink:
    return RecordingSink(recording, ["gate"], is_live)


def numbers(folder: Path) -> list[int]:
    return [int(path.stem.split("-")[-1]) for path in sorted(folder.iterdir())]


@pytest.fixture(autouse=True)
def forget_notices() -> None:
    notices.notice_once.cache_clear()


def test_pictures_are_kept_at_a_rate_and_named_in_order(tmp_path: Path, capsys) -> None:
    sink = sink_for(options(tmp_path / "new", every=3))
    for sequence in range(10):
        sink.publish(result(sequence))
    sink.close()
    sink.close()
    assert numbers(tmp_path / "new") == [0, 3, 6, 9]
    names = [path.name for path in (tmp_path / "new").iterdir()]
    assert all(disk_budget.OUR_NAME.fullmatch(name) and "gate" not in name for name in names)
    assert capsys.readouterr().out == f"recorded 4 pictures in {tmp_path / 'new'}\n"


def test_pictures_that_a_camera_lost_do_not_stop_the_rate(tmp_path: Path) -> None:
    sink = sink_for(options(tmp_path, every=3))
    for sequence in (0, 2, 4, 5, 11):
        sink.publish(result(sequence))
    assert numbers(tmp_path) == [0, 4, 11]


def test_several_cameras_have_a_rate_each_and_their_name_in_the_file(tmp_path: Path) -> None:
    sink = RecordingSink(options(tmp_path, every=2), ["gate", "back/yard"], is_live=True)
    for sequence in range(3):
        for camera in ("gate", "back/yard"):
            sink.publish(result(sequence, camera=camera))
    sink.close()
    names = sorted(path.name.split("Z-")[1] for path in tmp_path.iterdir())
    assert names == [
        *("back-yard-00000000.jpg", "back-yard-00000002.jpg"),
        *("gate-00000000.jpg", "gate-00000002.jpg"),
    ]


def test_there_are_never_more_than_asked_for(tmp_path: Path, capsys) -> None:
    sink = sink_for(options(tmp_path, most=3))
    for sequence in range(10):
        sink.publish(result(sequence))
    assert numbers(tmp_path) == [0, 1, 2]
    assert capsys.readouterr().err == (
        f"notice: --record keeps no more pictures in {tmp_path}: its 3 pictures are recorded\n"
    )


def test_a_second_recording_adds_to_the_folder(tmp_path: Path) -> None:
    for _ in range(2):
        sink = sink_for(options(tmp_path, most=3))
        for sequence in range(3):
            sink.publish(result(sequence))
        sink.close()
    assert numbers(tmp_path) == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("scores", "is_kept"),
    [((), False), ((0.9,), False), ((0.9, 0.5), True), ((0.3,), True), ((0.51, 0.29), False)],
)
def test_uncertain_pictures_have_a_box_near_a_coin_toss(
    tmp_path: Path, scores: tuple[float, ...], is_kept: bool
) -> None:
    sink = sink_for(replace(options(tmp_path), when=RecordWhen.UNCERTAIN))
    sink.publish(result(0, detections=found(*((0, score) for score in scores))))
    assert numbers(tmp_path) == [0] * is_kept


def test_uncertain_pictures_are_not_neighbours_either(tmp_path: Path) -> None:
    sink = sink_for(replace(options(tmp_path, every=10), when=RecordWhen.UNCERTAIN))
    for sequence in range(30):
        score = 0.4 if 5 <= sequence < 8 or sequence == 29 else 0.9
        sink.publish(result(sequence, detections=found((0, score))))
    assert numbers(tmp_path) == [5, 29]


def test_a_budget_ends_the_recording_with_one_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "20200101T000000.000000Z-00000000.jpg").write_bytes(bytes(5000))
    limit = BudgetOptions(10_000, WhenFull.STOP, reserve_bytes=0)
    sink = sink_for(replace(options(tmp_path), budget=limit))
    for sequence in range(100):
        sink.publish(result(sequence))
    assert 5000 < sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    assert capsys.readouterr().err == (
        f"notice: --record keeps no more pictures in {tmp_path}: its budget of 10 kB is used up\n"
    )
    sink.publish(result(200))
    sink.close()
    assert 200 not in numbers(tmp_path)


def test_a_budget_may_keep_the_newest(tmp_path: Path) -> None:
    limit = BudgetOptions(10_000, WhenFull.DROP_OLDEST, reserve_bytes=0)
    sink = sink_for(replace(options(tmp_path, most=None), budget=limit))
    for sequence in range(100):
        sink.publish(result(sequence))
    kept = numbers(tmp_path)
    assert kept == list(range(kept[0], 100)) and len(kept) > 1
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000


def test_the_disk_is_never_filled(tmp_path: Path, capsys) -> None:
    with small_disk(tmp_path / "disk") as disk:
        limit = BudgetOptions(None, WhenFull.STOP, reserve_bytes=32 * 1024)
        sink = sink_for(replace(options(disk), budget=limit))
        for sequence in range(100):
            sink.publish(result(sequence))
        assert shutil.disk_usage(disk).free >= 32 * 1024
        assert 0 < len(numbers(disk)) < 100
    assert "the disk has 3" in capsys.readouterr().err


def test_the_picture_is_without_boxes(tmp_path: Path) -> None:
    image = picture(brightness=120)
    sink = sink_for(options(tmp_path))
    sink.publish(result(0, image, detections=found((0, 0.9))))
    (path,) = tmp_path.iterdir()
    assert np.abs(read_image(path).astype(int) - image).max() <= 12


def test_a_recording_is_a_folder_to_calibrate_on(tmp_path: Path) -> None:
    sink = sink_for(options(tmp_path))
    for sequence in range(3):
        sink.publish(result(sequence, picture(brightness=20 + 10 * sequence)))
    source, means = ImageFilesSource(str(tmp_path)), []
    while (frame := source.read()) is not None:
        means.append(frame.image.mean())
    assert len(means) == 3 and means == sorted(means)


def test_a_camera_may_be_recorded_for_months(tmp_path: Path) -> None:
    limit = BudgetOptions(5000, WhenFull.DROP_OLDEST, reserve_bytes=0)
    sink = sink_for(replace(options(tmp_path, most=None), budget=limit))
    for sequence in range(200):
        sink.publish(result(sequence))
    assert len(sink._to_discard) + len(sink._budget._files) < 20  # nothing grows with time


@pytest.mark.parametrize("is_live", [False, True])
def test_discarding_removes_this_recording_only_and_never_a_cameras(
    tmp_path: Path, is_live: bool
) -> None:
    (tmp_path / "old.jpg").write_bytes(b"old")
    sink = sink_for(options(tmp_path), is_live)
    for sequence in range(5):
        sink.publish(result(sequence))
    sink.discard()
    sink.discard()
    assert len(list(tmp_path.iterdir())) == (6 if is_live else 1)
    assert (tmp_path / "old.jpg").exists()


def test_after_closing_there_is_nothing_to_discard(tmp_path: Path) -> None:
    sink = sink_for(options(tmp_path), is_live=False)
    sink.publish(result(0))
    sink.close()
    sink.discard()
    assert numbers(tmp_path) == [0]


def test_a_full_disk_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk") as disk:
        sink = sink_for(options(disk))  # which keeps no reserve
        with pytest.raises(
            OutputError, match=r"--record cannot write .*\(No space left on device\)"
        ):
            monkeypatch.setattr(disk_budget.DiskBudget, "make_room", lambda *_: "")
            for sequence in range(100):
                sink.publish(result(sequence))
        assert not [path for path in disk.iterdir() if "part" in path.name]


def test_a_read_only_disk_is_one_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        sink = sink_for(options(disk))
        make_read_only(disk)
        with pytest.raises(OutputError, match=r"--record cannot write .*\(Read-only file system\)"):
            sink.publish(result(0))
        with pytest.raises(OutputError, match="--record cannot write"):
            sink_for(options(disk / "new"))


def test_a_folder_that_goes_is_one_error_and_not_made_again(tmp_path: Path) -> None:
    sink = sink_for(options(tmp_path / "new"))
    sink.publish(result(0))
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(OutputError, match=r"new to stay; was it deleted"):
        sink.publish(result(1))
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_a_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"--record cannot write .*file"):
        sink_for(options(tmp_path / "file"))
