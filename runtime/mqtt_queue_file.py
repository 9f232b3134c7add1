"""Messages in a file, in order and within a size: SQLite, which survives crashes and power cuts."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

FILE_NAME = "queue.sqlite"
VERSION = 1  # of the table below, kept in the file
LOCK_WAIT_S = 2.0  # for a predecessor that is just ending
# What SQLite says of a disk, a folder or another program; of damage it has many things to say.
# Python 3.10 gives no error codes.
FAULTS_OF_THE_DISK = (
    "database or disk is full",
    "disk I/O error",
    "attempt to write a readonly database",
    "unable to open database file",
    "database is locked",
    "access permission denied",
)
DROPPED_AT_ONCE = 8  # oldest messages, when the file is full: about a page of them


class Message(NamedTuple):
    """What waits for the broker.

    Attributes:
        number: Grows by one from message to message.
        topic: Where it goes.
        payload: What is sent.
    """

    number: int
    topic: str
    payload: bytes


class DamagedQueueError(Exception):
    """The file is none of ours, or damaged: it can only be set aside."""


class QueueFile:
    """Messages on disk. Use from one thread at a time.

    Only one program can have it open. Every change is one transaction: after a crash or a power
    cut it has happened or it has not.

    Args:
        folder: Where it is; created.
        limit_bytes: The file does not grow beyond it by more than a message; SQLite's journal
            beside it is empty between transactions.

    Attributes:
        count: Messages in it.
        newest: Number of the newest message, 0 if there never was any.

    Raises:
        OSError: If the folder cannot be made.
        sqlite3.Error: If the file cannot be opened for writing.
        DamagedQueueError: If it is no queue.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        with self.path.open("ab"):
            pass  # SQLite would open a file that cannot be written, and say so much later
        # Transactions are begun by hand; closed by another thread than the one that opened it.
        self._database = sqlite3.connect(
            self.path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            with self._told_of_damage():
                self._prepare()
                self._limit_pages = limit_bytes // self._pragma("page_size")
                self.count, self.newest = self._database.execute(
                    "SELECT COUNT(*), COALESCE(MAX(number), 0) FROM messages"
                ).fetchone()
        except BaseException:
            self._database.close()
            raise

    def after(self, number: int, most: int) -> list[Message]:
        """Return up to ``most`` messages in order, beginning with the first after ``number``."""
        with self._told_of_damage():
            rows = self._database.execute(
                "SELECT number, topic, payload FROM messages WHERE number > ? "
                "ORDER BY number LIMIT ?",
                (number, most),
            ).fetchall()
        if any(not (type(row[1]) is str and type(row[2]) is bytes) for row in rows):
            raise DamagedQueueError("it holds messages that are none")
        return [Message(*row) for row in rows]

    def update(self, done_through: int, new: Sequence[Message]) -> int:
        """Remove the messages up to a number and add others; all of it, or, if it raises, nothing.

        Args:
            done_through: Number of the last message that is no longer needed.
            new: In order, newer than all others.

        Returns:
            How many of the oldest messages were dropped to stay within the limit.
        """
        dropped = 0
        with self._told_of_damage(), self._transaction() as database:
            count = (
                self.count
                - database.execute(
                    "DELETE FROM messages WHERE number <= ?", (done_through,)
                ).rowcount
            )
            for message in new:
                database.execute("INSERT INTO messages VALUES (?, ?, ?)", message)
                count += 1
                while count > 0 and self._used_pages() > self._limit_pages:
                    dropped_now = self._drop_oldest()
                    dropped += dropped_now
                    count -= dropped_now
        self.count = count
        self.newest = max(self.newest, new[-1].number if new else 0)
        return dropped

    def close(self) -> None:
        """Close the file; may be called again."""
        self._database.close()

    def _prepare(self) -> None:
        # Taken with the first write and kept: another program finds the file locked.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        # With this mode the journal would otherwise keep its size.
        self._database.execute("PRAGMA journal_mode = TRUNCATE")
        with self._transaction() as database:
            version = self._pragma("user_version")
            if version == 0 and self._pragma("page_count") <= 1:
                database.execute(
                    "CREATE TABLE messages "
                    "(number INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL)"
                )
                database.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise DamagedQueueError("it is not a queue of this program's version")
        check = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise DamagedQueueError(check)

    def _drop_oldest(self) -> int:
        return self._database.execute(
            "DELETE FROM messages WHERE number IN "
            "(SELECT number FROM messages ORDER BY number LIMIT ?)",
            (DROPPED_AT_ONCE,),
        ).rowcount

    def _used_pages(self) -> int:
        return self._pragma("page_count") - self._pragma("freelist_count")

    def _pragma(self, name: str) -> int:
        return int(self._database.execute(f"PRAGMA {name}").fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back already
                self._database.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _told_of_damage(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # in a message, or in SQLite's about one
            raise DamagedQueueError(str(error)) from None
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            if not str(error).startswith(FAULTS_OF_THE_DISK):
                raise DamagedQueueError(str(error)) from None
            raise


def set_aside(folder: Path) -> Path:
    """Rename a damaged queue file, so that a new one can take its place; returns its new path.

    An earlier one that was set aside is replaced: a failing disk must not fill itself.
    """
    aside = folder / f"{FILE_NAME}.damaged"
    os.replace(folder / FILE_NAME, aside)
    with contextlib.suppress(FileNotFoundError):
        (folder / f"{FILE_NAME}-journal").unlink()
    return aside
