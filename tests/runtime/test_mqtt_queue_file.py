"""Messages in a file: order, size, damage, crashes and disks that refuse."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.mqtt_queue_file import (
    FILE_NAME,
    DamagedQueueError,
    Message,
    QueueFile,
    set_aside,
)

LIMIT = 1_000_000
SMALL_LIMIT = 300_000
ROOT = Path(__file__).resolve().parents[2]


def messages(first: int, last: int, size: int = 20) -> list[Message]:
    return [Message(n, "p/c/detections", b"%06d" % n + b"x" * size) for n in range(first, last + 1)]


def test_messages_come_back_in_order_and_from_anywhere(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    assert (file.count, file.newest, file.after(0, 10)) == (0, 0, [])
    assert file.update(0, messages(1, 5)) == 0
    assert file.update(0, messages(6, 9)) == 0
    assert file.after(0, 100) == messages(1, 9)
    assert file.after(4, 2) == messages(5, 6)
    assert file.after(9, 2) == []
    assert (file.count, file.newest) == (9, 9)


def test_what_is_done_is_removed_together_with_what_is_added(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    file.update(0, messages(1, 5))
    file.update(3, messages(6, 6))
    assert file.after(0, 100) == messages(4, 6)
    file.update(100, [])
    assert (file.count, file.newest, file.after(0, 9)) == (0, 6, [])


def test_messages_are_there_after_the_program_was_started_again(tmp_path: Path) -> None:
    file = QueueFile(tmp_path / "new" / "folder", LIMIT)
    file.update(0, messages(1, 5))
    file.close()
    file.close()
    file = QueueFile(tmp_path / "new" / "folder", LIMIT)
    assert (file.count, file.newest) == (5, 5)
    assert file.after(0, 9) == messages(1, 5)


@pytest.mark.parametrize("size", [20, 3000, 20_000])
def test_the_file_stays_within_its_limit_and_loses_the_oldest(tmp_path: Path, size: int) -> None:
    file = QueueFile(tmp_path, SMALL_LIMIT)
    last, dropped = 0, 0
    while dropped == 0 or last < 300:
        dropped += file.update(0, messages(last + 1, last + 100, size))
        last += 100
    kept = file.after(0, 10**6)
    assert kept == messages(dropped + 1, last, size)
    assert file.count == len(kept) == last - dropped
    assert sum(len(message.topic) + len(message.payload) for message in kept) > 0.6 * SMALL_LIMIT
    used = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert used <= SMALL_LIMIT + 2 * (size + 4096)  # the one message that made it too large


def test_a_message_larger_than_the_limit_does_not_stop_the_queue(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    assert file.update(0, messages(1, 1, 2 * LIMIT)) == 1
    assert file.update(0, messages(2, 3)) == 0
    assert file.after(0, 9) == messages(2, 3)


def test_a_second_program_does_not_get_the_same_queue(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        QueueFile(tmp_path, LIMIT)
    file.update(0, messages(1, 1))
    file.close()
    assert QueueFile(tmp_path, LIMIT).count == 1


def test_a_program_that_is_killed_leaves_whole_transactions(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    file.update(0, messages(1, 500, size=500))
    file.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from runtime.mqtt_queue_file import QueueFile\n"
        f"database = QueueFile(Path({str(tmp_path)!r}), {LIMIT})._database\n"
        "database.execute('PRAGMA cache_size = 1')\n"
        "database.execute('BEGIN')\n"
        "database.execute('UPDATE messages SET payload = zeroblob(length(payload))')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / FILE_NAME).read_bytes() != before  # it was in the midst of writing
    assert QueueFile(tmp_path, LIMIT).after(0, 999) == messages(1, 500, size=500)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    file.update(0, messages(1, 5))
    file._database.execute("PRAGMA max_page_count = 3")  # SQLite then says what a full disk says
    with pytest.raises(sqlite3.OperationalError, match="full"):
        file.update(2, messages(6, 300))
    assert (file.count, file.newest) == (5, 5)
    assert file.after(0, 99) == messages(1, 5)
    file._database.execute("PRAGMA max_page_count = 1000000")
    file.update(2, messages(6, 300))
    assert file.after(0, 999) == messages(3, 300)


@pytest.mark.parametrize(
    "content",
    [b"no database at all", b"SQLite format 3\x00" + b"\xff" * 5000, bytes(10_000)],
)
def test_what_is_no_queue_is_told_from_other_faults(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(DamagedQueueError):
        QueueFile(tmp_path, LIMIT)


def test_a_database_of_others_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE messages (text)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(DamagedQueueError, match="not a queue"):
        QueueFile(tmp_path, LIMIT)
    assert path.read_bytes() == before


def test_a_number_out_of_order_is_damage(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    file.update(0, messages(1, 20))
    file.close()
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    # SQLite puts a row's number before its header, here of four bytes, and its first text.
    content[content.index(b"p/c/detections000005") - 5] = 100
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(DamagedQueueError, match="out of order"):
        QueueFile(tmp_path, LIMIT)


def test_rows_that_are_no_messages_are_damage(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    file._database.execute("INSERT INTO messages VALUES (1, x'ff', 7)")
    with pytest.raises(DamagedQueueError):
        file.after(0, 9)


def test_flipped_bits_are_damage_or_harmless_and_nothing_else(tmp_path: Path) -> None:
    file = QueueFile(tmp_path, LIMIT)
    file.update(0, messages(1, 200))
    file.close()
    whole = (tmp_path / FILE_NAME).read_bytes()
    draw = random.Random(1)
    damaged = 0
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(draw.choice((1, 20, 400))):
            broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        (tmp_path / FILE_NAME).write_bytes(broken)
        try:
            file = QueueFile(tmp_path, LIMIT)
            try:
                found = file.after(0, 500)
                file.update(found[0].number if found else 0, messages(file.newest + 1, 300))
            finally:
                file.close()
        except DamagedQueueError:
            damaged += 1
    assert 30 < damaged < 150


def test_a_damaged_file_is_set_aside_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        (tmp_path / FILE_NAME).write_bytes(content)
        (tmp_path / f"{FILE_NAME}-journal").write_bytes(b"of it")
        aside = set_aside(tmp_path)
        assert aside.read_bytes() == content
        assert list(tmp_path.iterdir()) == [aside]
    assert QueueFile(tmp_path, LIMIT).count == 0
