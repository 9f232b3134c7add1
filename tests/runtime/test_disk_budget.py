"""A folder within its share of the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runtime import disk_budget
from runtime.disk_budget import BudgetOptions, DiskBudget, WhenFull, bytes_text, check_reserve
from runtime.errors import OutputError


def name(second: int, suffix: str = ".jpg") -> str:
    return f"20261122T2050{second:02d}.000000Z-{second:08d}{suffix}"


def write(folder: Path, second: int, size: int = 10) -> Path:
    path = folder / name(second)
    path.write_bytes(bytes(size))
    return path


def budget(folder: Path, most: int | None, when_full: WhenFull = WhenFull.STOP) -> DiskBudget:
    return DiskBudget(folder, BudgetOptions(most, when_full, reserve_bytes=0))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A disk whose free bytes are the list's one number."""
    free = [10**12]

    def usage(folder: Path) -> object:
        return shutil._ntuple_diskusage(10**12, 10**12 - free[0], free[0])  # type: ignore[attr-defined]

    monkeypatch.setattr(disk_budget.shutil, "disk_usage", usage)
    return free


def test_without_a_limit_there_is_room(tmp_path: Path) -> None:
    assert budget(tmp_path, None).make_room(10**6) == ""


def test_a_budget_is_used_up_to_the_last_byte(tmp_path: Path) -> None:
    files = budget(tmp_path, 30)
    for second in range(3):
        assert files.make_room(10) == ""
        files.add(write(tmp_path, second), 10)
    assert files.make_room(1) == "its budget of 30 bytes is used up"
    assert files.make_room(0) == ""
    assert len(list(tmp_path.iterdir())) == 3


def test_what_earlier_streams_left_counts(tmp_path: Path) -> None:
    write(tmp_path, 1, 20)
    (tmp_path / name(2, ".json")).write_bytes(bytes(5))
    assert budget(tmp_path, 30).used_bytes == 25
    assert budget(tmp_path, 30).make_room(6) != ""


def test_the_oldest_go_first_and_no_more_than_needed(tmp_path: Path) -> None:
    for second in (3, 1, 2):
        write(tmp_path, second)
    files = budget(tmp_path, 35, WhenFull.DROP_OLDEST)
    assert files.make_room(15) == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [name(2), name(3)]
    assert files.used_bytes == 20
    assert files.make_room(36) == "its budget of 35 bytes is used up"  # cannot ever fit


def test_files_of_others_are_neither_counted_nor_deleted(tmp_path: Path) -> None:
    for other in ("holiday.jpg", "20261122.jpg", f"x{name(1)}", name(1, ".png")):
        (tmp_path / other).write_bytes(bytes(100))
    (tmp_path / name(2)).mkdir()
    files = budget(tmp_path, 10, WhenFull.DROP_OLDEST)
    assert files.used_bytes == 0
    assert files.make_room(10) == ""
    assert files.make_room(11) != ""
    assert len(list(tmp_path.iterdir())) == 5


def test_a_clock_that_was_set_back_does_not_make_new_files_old(tmp_path: Path) -> None:
    files = budget(tmp_path, 20, WhenFull.DROP_OLDEST)
    files.add(write(tmp_path, 50), 10)
    files.add(write(tmp_path, 1), 10)  # by its name the older
    assert files.make_room(10) == ""
    assert [path.name for path in tmp_path.iterdir()] == [name(1)]


def test_a_file_that_the_user_deleted_is_no_error(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    files = budget(tmp_path, 10, WhenFull.DROP_OLDEST)
    path.unlink()
    assert files.make_room(10) == ""
    assert files.used_bytes == 0


@pytest.mark.parametrize("when_full", list(WhenFull))
def test_some_of_the_disk_stays_free_and_nothing_is_deleted_for_it(
    tmp_path: Path, disk: list[int], when_full: WhenFull
) -> None:
    write(tmp_path, 1)
    files = DiskBudget(tmp_path, BudgetOptions(None, when_full, reserve_bytes=2 * 10**6))
    disk[0] = 2_000_010
    assert files.make_room(10) == ""
    assert files.make_room(11) == "the disk has 2 MB left; 2 MB stay free"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    files = budget(tmp_path / "new", None)
    (tmp_path / "new").rmdir()
    with pytest.raises(FileNotFoundError):
        files.make_room(1)


def test_a_file_ends_before_it_fills_the_disk(tmp_path: Path, disk: list[int]) -> None:
    path = tmp_path / "out.mp4"
    disk[0] = 10**7
    check_reserve("save", path, 10**7)
    with pytest.raises(OutputError, match=r"--save stops before .*out\.mp4, which has 10 MB left"):
        check_reserve("save", path, 10**7 + 1)
    with pytest.raises(OutputError, match="expected 250 MB, which stay free"):
        check_reserve("save", path)


def test_a_file_whose_folder_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="was it deleted"):
        check_reserve("save", tmp_path / "gone" / "out.mp4")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (10**8, "100 MB"), (2 * 10**9, "2 GB")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert bytes_text(size) == text
