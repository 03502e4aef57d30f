"""The file of the SQLite stores: one process, one connection, one thread that uses it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import IO, Concatenate, ParamSpec, TypeVar

from agent_service.errors import SettingsError, StoreError
from agent_service.store.sqlite_reading import contains
from agent_service.store.sqlite_thread import SqliteThread

_T = TypeVar("_T")
_P = ParamSpec("_P")

SCHEMA_VERSION = 1
_STAMPS = ("application_id", "user_version")
_APPLICATION = 0x46534147  # "FSAG": whose file it is
_SCHEMA = """
CREATE TABLE agent_threads (
    thread_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    metadata BLOB NOT NULL, status TEXT NOT NULL, config BLOB NOT NULL, state_values BLOB, interrupts BLOB NOT NULL,
    error BLOB, state_updated_at INTEGER, is_temporary INTEGER NOT NULL, ttl_minutes REAL, expires_at INTEGER
) WITHOUT ROWID;
CREATE INDEX agent_threads_of_tenant ON agent_threads (tenant, created_at, thread_id) WHERE NOT is_temporary;
CREATE INDEX agent_threads_expiring ON agent_threads (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX agent_threads_temporary ON agent_threads (updated_at) WHERE is_temporary;
CREATE TABLE agent_runs (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, thread_id TEXT NOT NULL, tenant TEXT NOT NULL,
    assistant_id TEXT NOT NULL, graph_id TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL, request BLOB NOT NULL, metadata BLOB NOT NULL, status TEXT NOT NULL,
    multitask TEXT NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, holder TEXT,
    accepted_by TEXT NOT NULL DEFAULT '', lease_until INTEGER, stop TEXT, idempotency_key TEXT, traceparent TEXT,
    started_at INTEGER, finished_at INTEGER, result BLOB, is_swept INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX agent_runs_of_thread ON agent_runs (thread_id, number);
CREATE INDEX agent_runs_active ON agent_runs (thread_id, number) WHERE status IN ('pending', 'running');
CREATE UNIQUE INDEX agent_runs_one_each ON agent_runs (thread_id) WHERE status = 'running';
CREATE UNIQUE INDEX agent_runs_idempotent ON agent_runs (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX agent_runs_unswept ON agent_runs (finished_at) WHERE finished_at IS NOT NULL AND NOT is_swept;
CREATE TABLE agent_events (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
"""


class SqliteFile:
    """Opened once; transactions come one after the other."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._thread = SqliteThread("agent-store", what=str(self.path), closed=self._closed)
        self._connection: sqlite3.Connection | None = None
        self._lock: IO[str] | None = None

    async def open(self) -> None:
        """Raises SettingsError when the file is in use, not ours, or cannot be written."""
        await self._thread.do(self._open)

    async def close(self) -> None:
        """Give it back; once more is nothing."""
        await self._thread.close(self._close)

    async def transact(
        self, work: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """All of it or nothing; raises StoreError, and whatever the work raises."""

        def transaction() -> _T:
            connection = self._connection
            if connection is None:
                raise StoreError(self._closed)
            connection.execute("BEGIN IMMEDIATE")
            try:
                found = work(connection, *args, **kwargs)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # a full disk fails the commit too, and may have ended it already
                    connection.execute("ROLLBACK")
            return found

        return await self._thread.do(transaction)

    @property
    def _closed(self) -> str:
        return f"{self.path} is closed"

    def _open(self) -> None:
        try:
            self._open_all()
        except BaseException:
            self._close()
            raise

    def _open_all(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
            os.close(descriptor)
        except OSError as error:
            raise SettingsError(
                f"{self.path}: {error.strerror}; give a file in a folder that can be written"
            ) from error
        try:
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            self._prepare(self._connection)
        except sqlite3.Error as error:
            raise SettingsError(
                f"{self.path}: not a database that can be used ({error}); name another file, or restore this one"
            ) from error

    def _take_lock(self) -> None:
        self._lock = open(f"{self.path}.lock", "w")  # noqa: SIM115, PTH123 - held as long as the store is open
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise SettingsError(
                f"{self.path} is in use by another process; one process has a SQLite file, several replicas share "
                "PostgreSQL: --store postgresql://..."
            ) from None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (found,), (version,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in _STAMPS)
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchone()[0]
        if tables and found != _APPLICATION:
            raise SettingsError(f"{self.path} is a database of another program; name another file")
        if version > SCHEMA_VERSION:
            raise SettingsError(f"{self.path} was written by a newer version; use that one, or name another file")
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "cache_size=-8000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("agent_contains", 2, contains, deterministic=True)
        if version == 0:
            connection.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id={_APPLICATION}; PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.close()
