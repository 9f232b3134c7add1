"""The queue over memory and disk: order, limits, and disks that fail while it is used."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime import mqtt_queue
from runtime.mqtt_queue import MESSAGE_OVERHEAD_BYTES, MessageQueue
from runtime.mqtt_queue_file import FILE_NAME, QueueFile

LIMIT = 1_000_000
MakeQueue = Callable[..., MessageQueue]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def make(lines: list[str]) -> Iterator[MakeQueue]:
    made: list[MessageQueue] = []

    def make_queue(folder: Path | None = None, limit: int = LIMIT) -> MessageQueue:
        made.append(MessageQueue(folder, limit, lines.append))
        return made[-1]

    yield make_queue
    for queue in made:
        queue.close()


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mount a small file system in memory on a folder."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system that is full or read-only")
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a file system: a container without it")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def put(queue: MessageQueue, first: int, last: int, size: int = 0) -> None:
    for number in range(first, last + 1):
        queue.put("topic", b"%d" % number + b" " * size)


def waiting(queue: MessageQueue, after: int = 0) -> list[int]:
    """Return what waits, by payload, as a sender sees it: piece by piece."""
    found: list[int] = []
    while messages := queue.after(after, 7):
        found += [int(message.payload) for message in messages]
        after = messages[-1].number
    return found


def test_messages_wait_in_order_in_memory_and_on_disk(make: MakeQueue, tmp_path: Path) -> None:
    queue = make(tmp_path)
    put(queue, 1, 20)
    assert waiting(queue) == list(range(1, 21))
    queue.flush()
    put(queue, 21, 40)
    assert waiting(queue) == list(range(1, 41))
    assert waiting(queue, after=15) == list(range(16, 41))
    assert waiting(queue, after=30) == list(range(31, 41))
    assert (queue.waiting, queue.dropped) == (40, 0)


def test_what_is_done_quickly_never_reaches_the_disk(make: MakeQueue, tmp_path: Path) -> None:
    queue = make(tmp_path)
    before = (tmp_path / FILE_NAME).stat().st_mtime_ns
    for number in range(1, 50):
        put(queue, number, number)
        queue.mark_done(number)
        queue.flush()
    assert (tmp_path / FILE_NAME).stat().st_mtime_ns == before
    assert queue.waiting == 0


def test_what_is_done_is_gone_from_both(make: MakeQueue, tmp_path: Path) -> None:
    queue = make(tmp_path)
    put(queue, 1, 10)
    queue.flush()
    put(queue, 11, 20)
    queue.mark_done(5)
    queue.flush()
    queue.mark_done(15)
    queue.mark_done(3)  # nothing becomes undone
    queue.close()
    assert waiting(make(tmp_path)) == list(range(16, 21))


def test_the_next_start_goes_on_where_this_one_ended(make: MakeQueue, tmp_path: Path) -> None:
    queue = make(tmp_path)
    put(queue, 1, 10)
    queue.close()
    queue.close()
    queue = make(tmp_path)
    put(queue, 11, 20)
    assert waiting(queue) == list(range(1, 21))
    assert queue.is_kept


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_full_queue_loses_the_oldest_and_counts_them(
    make: MakeQueue, tmp_path: Path, lines: list[str], on_disk: bool
) -> None:
    queue = make(tmp_path if on_disk else None)
    for first in range(1, 4001, 100):
        put(queue, first, first + 99, size=1000)
        queue.flush()
    left = waiting(queue)
    assert left == list(range(queue.dropped + 1, 4001))
    assert 500 < len(left) < 1000
    assert lines == ["--mqtt: the queue lost its oldest results; they are counted at the end"]


def test_memory_stays_within_the_limit_between_flushes(make: MakeQueue, tmp_path: Path) -> None:
    queue = make(tmp_path)
    put(queue, 1, 5000)
    assert queue.waiting <= LIMIT // MESSAGE_OVERHEAD_BYTES
    assert queue.dropped + queue.waiting == 5000


def test_several_threads_may_add_while_another_empties_it(make: MakeQueue, tmp_path: Path) -> None:
    queue = make(tmp_path, 50 * LIMIT)
    threads = [
        threading.Thread(target=put, args=(queue, first, first + 999)) for first in (0, 1000, 2000)
    ]
    for thread in threads:
        thread.start()
    taken: list[int] = []
    last = 0
    while any(thread.is_alive() for thread in threads) or queue.after(last, 1):
        for message in queue.after(last, 50):
            assert message.number == last + 1
            taken.append(int(message.payload))
            last = message.number
        queue.flush()
        queue.mark_done(last)
    assert sorted(taken) == list(range(3000))
    queue.flush()
    assert (queue.waiting, queue.dropped) == (0, 0)


def test_a_damaged_file_is_set_aside_in_one_line(
    make: MakeQueue, tmp_path: Path, lines: list[str]
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"garbage" * 1000)
    queue = make(tmp_path)
    put(queue, 1, 3)
    queue.flush()
    assert waiting(queue) == [1, 2, 3]
    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes() == b"garbage" * 1000
    assert len(lines) == 1
    assert "is damaged (file is not a database); it is set aside as" in lines[0]
    assert queue.is_kept


@pytest.mark.parametrize("found_by", ["after", "flush"])
def test_a_file_damaged_while_it_is_used_is_replaced(
    make: MakeQueue, tmp_path: Path, lines: list[str], found_by: str
) -> None:
    queue = make(tmp_path)
    put(queue, 1, 2000, size=100)
    queue.flush()
    assert queue._file is not None
    queue._file._database.execute("PRAGMA cache_size = 1")
    with (tmp_path / FILE_NAME).open("r+b") as stream:
        stream.write(os.urandom(200_000))
    put(queue, 2001, 2003)
    if found_by == "flush":
        queue.flush()
    assert waiting(queue) == [2001, 2002, 2003]
    assert queue.dropped == 2000
    assert ["is damaged" in line for line in lines].count(True) == 1
    queue.close()
    assert waiting(make(tmp_path)) == [2001, 2002, 2003]


def test_a_full_disk_is_told_once_and_memory_takes_over(tmp_path: Path, lines: list[str]) -> None:
    with mounted(tmp_path / "small", "size=64k"):
        queue = MessageQueue(tmp_path / "small", LIMIT, lines.append)
        put(queue, 1, 300, size=500)  # more than 64 KiB
        queue.flush()
        put(queue, 301, 310)
        queue._retry_at_s = 0.0
        queue.flush()
        assert waiting(queue) == list(range(1, 311))
        assert len(lines) == 1
        assert "takes no results (database or disk is full)" in lines[0]
        assert not queue.is_kept
        queue.mark_done(250)  # what is left has room
        queue.close()
        assert lines[1:] == [f"--mqtt-queue {tmp_path / 'small'} takes results again"]
        queue = MessageQueue(tmp_path / "small", LIMIT, lines.append)
        assert waiting(queue) == list(range(251, 311))
        queue.close()


def test_a_disk_that_refuses_is_not_asked_at_every_flush(
    make: MakeQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make(tmp_path)
    put(queue, 1, 10)
    assert queue._file is not None
    queue._file._database.execute("PRAGMA max_page_count = 1")
    put(queue, 11, 500, size=100)
    queue.flush()
    asked: list[object] = []
    monkeypatch.setattr(QueueFile, "update", lambda *call: asked.append(call))
    for _ in range(10):
        queue.flush()
    assert not asked
    monkeypatch.undo()


def test_a_read_only_file_system_is_one_line_and_memory_only(
    tmp_path: Path, lines: list[str]
) -> None:
    with mounted(tmp_path / "fixed", "ro,size=64k"):
        queue = MessageQueue(tmp_path / "fixed" / "queue", LIMIT, lines.append)
        put(queue, 1, 5)
        queue.flush()
        assert waiting(queue) == [1, 2, 3, 4, 5]
        queue.close()
    assert len(lines) == 1
    assert "cannot be used (Read-only file system)" in lines[0]


def test_a_file_system_that_becomes_read_only_is_one_line(tmp_path: Path, lines: list[str]) -> None:
    folder = tmp_path / "turns"
    with mounted(folder, "size=4m"):
        queue = MessageQueue(folder, LIMIT, lines.append)
        put(queue, 1, 50)
        queue.flush()
        assert queue._file is not None
        queue._file.close()  # a file that is open for writing would keep it from becoming so
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        queue = MessageQueue(folder, LIMIT, lines.append)
        put(queue, 51, 60)
        queue.flush()
        assert waiting(queue) == list(range(51, 61))
        queue.close()
    assert len(lines) == 1
    assert "cannot be used (Read-only file system)" in lines[0]


@pytest.mark.parametrize("place", ["a file", "/proc/nothing/here"])
def test_a_folder_that_cannot_be_made_is_one_line(
    make: MakeQueue, tmp_path: Path, lines: list[str], place: str
) -> None:
    (tmp_path / "a file").write_text("", encoding="utf-8")
    queue = make(tmp_path / place)
    put(queue, 1, 3)
    queue.flush()
    assert waiting(queue) == [1, 2, 3]
    assert not queue.is_kept
    assert len(lines) == 1
    assert "cannot be used" in lines[0]


def test_a_queue_that_another_program_has_is_one_line(
    make: MakeQueue, tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.mqtt_queue_file.LOCK_WAIT_S", 0.0)
    first, second = make(tmp_path), make(tmp_path)
    put(second, 1, 3)
    assert waiting(second) == [1, 2, 3]
    assert waiting(first) == []
    assert len(lines) == 1
    assert "database is locked" in lines[0]


def test_a_file_that_cannot_be_read_any_more_is_given_up(
    make: MakeQueue, tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make(tmp_path)
    put(queue, 1, 3)
    queue.flush()
    put(queue, 4, 6)

    def broken(*_call: object) -> list[object]:
        raise mqtt_queue.sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(QueueFile, "after", broken)
    assert waiting(queue) == [4, 5, 6]
    queue.flush()
    assert len(lines) == 1
    assert "cannot be read any more (disk I/O error)" in lines[0]
    monkeypatch.undo()
    assert waiting(make(tmp_path)) == [1, 2, 3]
