"""A file appears complete or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from runtime.atomic_file import (
    folder_lock,
    partial_path,
    replace_when_done,
    sha256_of,
    write_text,
)


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.onnx"
    with replace_when_done(path) as partial:
        partial.write_text("half")
        assert not path.exists()
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["model.onnx"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with pytest.raises(RuntimeError), replace_when_done(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_before_anything_was_written_is_the_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replace_when_done(tmp_path / "x"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replace_when_done(tmp_path / "x"):
        pass


def test_an_error_of_the_disk_names_the_final_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(OSError, match="No space left") as caught, replace_when_done(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write does: without a name
    assert caught.value.filename == str(path)


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^no number$") as caught, replace_when_done(tmp_path / "x"):
        raise OSError("no number")
    assert caught.value.filename is None
    with pytest.raises(FileNotFoundError) as missing, replace_when_done(tmp_path / "x"):
        (tmp_path / "source").read_bytes()
    assert missing.value.filename == str(tmp_path / "source")


def test_the_partial_file_keeps_suffix_and_folder(tmp_path: Path) -> None:
    partial = partial_path(tmp_path / "a" / "clip.mp4")
    assert partial.suffix == ".mp4"
    assert partial.parent == tmp_path / "a"
    assert partial.name.startswith(".")
    assert partial.parent.is_dir()


def test_write_text_writes_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "t.json", "größe\n")
    assert (tmp_path / "t.json").read_bytes() == "größe\n".encode()


@pytest.mark.parametrize("size", [0, 1, (1 << 20), (1 << 20) + 1])
def test_sha256_over_block_borders(tmp_path: Path, size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    (tmp_path / "f").write_bytes(data)
    assert sha256_of(tmp_path / "f") == hashlib.sha256(data).hexdigest()


def test_a_folder_has_one_holder_at_a_time(tmp_path: Path) -> None:
    events: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with folder_lock(tmp_path):
            events.append("second")

    thread = threading.Thread(target=second)
    with folder_lock(tmp_path):
        thread.start()
        assert waiting.wait(10)
        thread.join(0.2)
        events.append("first")
    thread.join(10)
    assert events == ["first", "second"]


def test_a_lock_is_given_back_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), folder_lock(tmp_path):
        raise RuntimeError
    with folder_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
