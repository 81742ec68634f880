"""Sessions in a file of SQLite."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from recurra.server.session import Session, StoreError

__all__ = ["SqliteStore"]

_PREPARATION = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=8000",  # pages of 4 KiB between checkpoints
    """
    CREATE TABLE IF NOT EXISTS sessions (
        id TEXT PRIMARY KEY, model TEXT NOT NULL, owner TEXT NOT NULL, step INTEGER NOT NULL, used REAL NOT NULL,
        state BLOB NOT NULL, digest BLOB NOT NULL, result TEXT NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS sessions_used ON sessions (used)",
)
_FIELDS = "id, model, owner, step, state, digest, result"
_IDS_AT_ONCE = 1000


class SqliteStore:
    """A store in one file, for one machine.

    Every commit is one transaction in the write-ahead log with `synchronous=FULL`: it is on the disk before a step is
    answered. It outlives the process and, if the disk keeps its word, the power.

    Args:
        path: of the file; it is made if there is none, and only its owner may read it.
        idle_seconds: after which an unused session counts as deleted.
        now: the time in seconds.

    Raises:
        StoreError: if it cannot be opened.
    """

    def __init__(self, path: str | Path, idle_seconds: float, now: Callable[[], float] = time.time) -> None:
        self._idle, self._now, self._lock = idle_seconds, now, threading.Lock()
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        try:
            for statement in _PREPARATION:
                self._connection.execute(statement)
        except sqlite3.Error as error:
            self._connection.close()
            raise _unusable(path, error) from error

    def create(self, session: Session, most: int) -> bool:
        with self._transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE used < ?", (self._oldest(),))
            (count,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
            if count >= most:
                return False
            values = (session.id, session.model, session.owner, session.step, self._now(), session.state)
            connection.execute(
                "INSERT INTO sessions (id, model, owner, step, used, state, digest, result) VALUES (?,?,?,?,?,?,?,?)",
                (*values, session.digest, session.result),
            )
        return True

    def load(self, ids: Sequence[str]) -> dict[str, Session]:
        sessions: dict[str, Session] = {}
        with self._reading() as connection:
            for start in range(0, len(ids), _IDS_AT_ONCE):
                chosen = ids[start : start + _IDS_AT_ONCE]
                marks = ",".join("?" * len(chosen))
                rows = connection.execute(
                    f"SELECT {_FIELDS} FROM sessions WHERE id IN ({marks}) AND used >= ?",
                    (*chosen, self._oldest()),
                )
                sessions.update((row[0], Session(*row)) for row in rows)
        return sessions

    def commit(self, sessions: Sequence[Session]) -> list[bool]:
        now, oldest, replaced = self._now(), self._oldest(), []
        with self._transaction() as connection:
            for one in sessions:
                done = connection.execute(
                    "UPDATE sessions SET step = ?, used = ?, state = ?, digest = ?, result = ? "
                    "WHERE id = ? AND step = ? AND used >= ?",
                    (one.step, now, one.state, one.digest, one.result, one.id, one.step - 1, oldest),
                )
                replaced.append(done.rowcount == 1)
        return replaced

    def delete(self, session_id: str) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

    def count(self) -> int:
        with self._reading() as connection:
            query = "SELECT count(*) FROM sessions WHERE used >= ?"
            return connection.execute(query, (self._oldest(),)).fetchone()[0]

    def expire(self) -> int:
        with self._transaction() as connection:
            return connection.execute("DELETE FROM sessions WHERE used < ?", (self._oldest(),)).rowcount

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _oldest(self) -> float:
        return self._now() - self._idle

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise StoreError(f"the file of sessions cannot be used ({error})") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A COMMIT that failed may have ended the transaction already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _unusable(path: str | Path, error: Exception) -> StoreError:
    return StoreError(f"{path}: cannot be opened as a store of sessions ({error})")
