"""Files of lines: complete ones and growing ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import line_files
from runtime.errors import OutputError
from runtime.line_files import GrowingFile, Rotation, open_line_file
from tests.fakes.disks import make_read_only, small_disk

ROOT = Path(__file__).resolve().parents[2]
NEVER = Rotation(None, None, 3)


def grown(path: Path, rotation: Rotation = NEVER, header: str = "") -> GrowingFile:
    file = open_line_file("jsonl", path, rotation, header)
    assert isinstance(file, GrowingFile)
    return file


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_a_complete_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.csv"
    file = open_line_file("csv", path, None, "header\n")
    file.write("one\n")
    assert not path.exists()
    file.close()
    file.close()
    file.discard()
    assert contents(path.parent) == {"out.csv": "header\none\n"}


def test_a_discarded_complete_file_leaves_nothing_and_the_old_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    file = open_line_file("csv", path, None)
    file.write("one\n")
    file.discard()
    assert contents(tmp_path) == {"out.csv": "old"}


def test_a_complete_file_on_a_full_disk_is_one_error_and_goes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = open_line_file("csv", disk / "out.csv", None)
        with pytest.raises(OutputError, match=r"out\.csv \(No space left on device\)"):
            for _ in range(20):
                file.write("x" * 8000 + "\n")
            file.close()
        file.discard()
        assert list(disk.iterdir()) == []


def test_a_folder_that_goes_before_the_end_is_one_error(tmp_path: Path) -> None:
    file = open_line_file("csv", tmp_path / "new" / "out.csv", None)
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(OutputError, match=r"new to stay; was it deleted"):
        file.close()
    file.discard()


def test_a_growing_file_can_be_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    file = grown(path)
    for index in range(3):
        file.write(f"{index}\n")
        assert path.read_text().splitlines()[-1] == str(index)
    file.discard()  # what others read already stays
    assert path.read_text() == "0\n1\n2\n"


def test_a_discarded_growing_file_that_is_empty_goes(tmp_path: Path) -> None:
    for header in ("", "h\n"):
        file = grown(tmp_path / "out.csv", header=header)
        file.discard()
        file.discard()
        assert list(tmp_path.iterdir()) == []
    file = grown(tmp_path / "out.csv", header="h\n")
    file.close()  # a stream that found nothing
    assert contents(tmp_path) == {"out.csv": "h\n"}


def test_a_growing_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    for index in range(2):
        file = grown(path, header="a,b\r\n")
        file.write(f"{index}\r\n")
        file.close()
        file.close()
    assert path.read_bytes() == b"a,b\r\n0\r\n1\r\n"


def test_a_line_that_a_power_cut_tore_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text('{"frame": 1}\n{"fra')
    file = grown(path)
    file.write('{"frame": 3}\n')
    file.close()
    assert path.read_text().splitlines() == ['{"frame": 1}', '{"fra', '{"frame": 3}']


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("name,price\n")
    with pytest.raises(OutputError, match=r"--csv got .*out\.csv, which begins otherwise"):
        open_line_file("csv", path, NEVER, "time,camera\r\n")
    assert path.read_text() == "name,price\n"


def test_rotation_by_size_keeps_so_many_files_of_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    file = grown(path, Rotation(11, None, 2), "h\n")
    for index in range(12):
        file.write(f"{index:02d}\n")  # three fit beside the header
    file.close()
    assert contents(tmp_path) == {
        "out.csv": "h\n09\n10\n11\n",
        "out.csv.1": "h\n06\n07\n08\n",
        "out.csv.2": "h\n03\n04\n05\n",
    }


def test_a_line_larger_than_the_limit_gets_a_file_of_its_own(tmp_path: Path) -> None:
    file = grown(tmp_path / "out.jsonl", Rotation(4, None, 5))
    for line in ("12345678\n", "a\n", "87654321\n"):
        file.write(line)
    file.close()
    assert contents(tmp_path) == {
        "out.jsonl": "87654321\n",
        "out.jsonl.1": "a\n",
        "out.jsonl.2": "12345678\n",
    }


def test_rotation_by_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(line_files.time, "monotonic", lambda: now[0])
    file = grown(tmp_path / "out.jsonl", Rotation(None, 60.0, 2))
    now[0] += 61
    file.write("first\n")  # an empty file is not set aside, however old
    now[0] += 59
    file.write("second\n")
    now[0] += 59
    file.write("third\n")
    file.close()
    assert contents(tmp_path) == {"out.jsonl": "second\nthird\n", "out.jsonl.1": "first\n"}


def test_nothing_written_does_not_rotate(tmp_path: Path) -> None:
    file = grown(tmp_path / "out.csv", Rotation(1, None, 2))
    file.write("a\n")
    file.write("")
    assert contents(tmp_path) == {"out.csv": "a\n"}
    file.close()


def test_lines_reach_the_disk_each_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, synced = [1000.0], []
    monkeypatch.setattr(line_files.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(line_files.os, "fsync", synced.append)
    file = grown(tmp_path / "out.jsonl")
    for _ in range(31):
        now[0] += 0.1
        file.write("x\n")
    assert len(synced) in (2, 3)  # sums of 0.1 are not exact
    file.close()
    assert len(synced) in (3, 4)


@pytest.mark.parametrize("by", ["move", "delete", "truncate"])
def test_logrotate_may_do_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(line_files, "SYNC_EVERY_S", 0.0)  # looks after every line
    path = tmp_path / "out.csv"
    file = grown(path, header="h\n")
    file.write("first\n")
    if by == "move":
        path.rename(tmp_path / "moved")
    elif by == "delete":
        path.unlink()
    else:
        shutil.copy(path, tmp_path / "moved")
        os.truncate(path, 0)
    file.write("second\n")  # may still go to the old file: the check follows the write
    file.write("third\n")
    file.close()
    assert path.read_text().endswith("third\n")
    assert "\0" not in path.read_text()
    if by != "delete":
        assert (tmp_path / "moved").read_text().startswith("h\nfirst\n")


def test_a_folder_that_goes_while_running_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_files, "SYNC_EVERY_S", 0.0)
    file = grown(tmp_path / "new" / "out.jsonl")
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(OutputError, match=r"new to stay; was it deleted"):
        file.write("x\n")
    file.close()
    file.discard()
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = grown(disk / "out.jsonl")
        with pytest.raises(OutputError, match=r"\(No space left on device\); expected room"):
            for _ in range(100):
                file.write("x" * 999 + "\n")
        file.close()
        lines = (disk / "out.jsonl").read_text().splitlines()
        assert len(lines) > 50
        assert {len(line) for line in lines} == {999}


def test_the_full_device_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").symlink_to("/dev/full")
    file = grown(tmp_path / "out.jsonl")
    with pytest.raises(OutputError, match="No space left"):
        file.write("x\n")
    with pytest.raises(OutputError, match="No space left"):
        grown(tmp_path / "out.jsonl", header="h\n")


def test_a_limit_on_file_sizes_leaves_whole_lines(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from runtime.line_files import Rotation, open_line_file\n"
        "file = open_line_file('jsonl', Path(sys.argv[1]), Rotation(None, None, 1))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "for _ in range(99): file.write('x' * 98 + '\\n')\n"
    )
    path = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert "OutputError: --jsonl cannot write" in done.stderr
    assert "(File too large); expected room" in done.stderr
    assert path.read_text() == ("x" * 98 + "\n") * 10


def test_a_read_only_disk_is_one_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        make_read_only(disk)
        for rotation in (None, NEVER):
            with pytest.raises(OutputError, match=r"\(Read-only file system\); expected a folder"):
                open_line_file("jsonl", disk / "out.jsonl", rotation)


@pytest.mark.parametrize("rotation", [None, NEVER])
def test_a_name_below_a_file_is_one_error(tmp_path: Path, rotation: Rotation | None) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--jsonl cannot write"):
        open_line_file("jsonl", tmp_path / "file" / "out.jsonl", rotation)


def test_a_name_that_is_a_folder_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\(Is a directory\)"):
        grown(tmp_path)


def test_writing_after_the_end_is_an_error(tmp_path: Path) -> None:
    file = grown(tmp_path / "out.jsonl")
    file.close()
    with pytest.raises(OutputError, match="is closed"):
        file.write("x\n")
