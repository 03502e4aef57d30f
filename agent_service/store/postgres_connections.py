"""How connections to PostgreSQL are made, and what their failures mean."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from agent_service.errors import InvalidError, StoreError

Connection = AsyncConnection[DictRow]

PATIENCE_SECONDS = 5.0  # for a connection
# A server that is gone without a word (a failover, a cut network) is noticed after half a minute, also by whoever
# only listens.
_ALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
          "tcp_user_timeout": 30_000}  # fmt: skip


class Pool(AsyncConnectionPool[Connection]):
    """Gives no connection that the server has closed.

    The pool's own `check` asks the server, two round trips before every transaction; and after a restart it waits a
    second longer for each dead connection that it meets.
    """

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 - the pool's own word
        """See AsyncConnectionPool."""
        until = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = await super().getconn(max(until - time.monotonic(), 0.0))
            if not _was_closed(connection):
                return connection
            try:
                await connection.close()
            finally:
                await self.putconn(connection)  # which makes another one in its place


def _was_closed(connection: Connection) -> bool:
    """A server that stops says so to its idle connections: there is something to read, where nothing was asked for.

    That may be a mere notice; such a connection is given up as well, and nothing is lost.
    """
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def a_pool(url: str, *, name: str, most: int, statement_seconds: float, is_autocommit: bool = False) -> Pool:
    """Not open yet.  Raises psycopg.Error for a URL that is none."""
    return Pool(
        _conninfo(url, name, statement_seconds),
        min_size=1,
        max_size=most,
        max_idle=60,
        max_lifetime=1800,
        timeout=PATIENCE_SECONDS,
        # The pool would wait twice as long after each failure, and so be away as long again as the server was.
        reconnect_timeout=PATIENCE_SECONDS,
        open=False,
        # Statements are prepared at their second use; the checkpoints' saver asks for that too.
        kwargs={"row_factory": dict_row, "autocommit": is_autocommit, "prepare_threshold": 1},
    )


async def a_connection(url: str, *, name: str, statement_seconds: float = 0) -> Connection:
    """By itself, with autocommit; statement_seconds: 0 is for ever."""
    return await AsyncConnection.connect(
        _conninfo(url, name, statement_seconds), autocommit=True, row_factory=dict_row, prepare_threshold=1
    )


def _conninfo(url: str, name: str, statement_seconds: float) -> str:
    """What the URL says goes before what we add: its options come last on the server's command line, and win."""
    given: dict[str, Any] = {"connect_timeout": int(PATIENCE_SECONDS), **_ALIVE, **conninfo_to_dict(url)}
    limits = f"-c statement_timeout={int(statement_seconds * 1000)}"
    if statement_seconds:
        # A replica that is stopped in the middle of a transaction must not keep its runs from those who take over.
        limits += f" -c idle_in_transaction_session_timeout={int(2 * statement_seconds * 1000)}"
    given["options"] = f"{limits} {given.get('options') or ''}".strip()
    return make_conninfo("", **{"application_name": name, **given})


@contextmanager
def as_store_errors() -> Iterator[None]:
    """The driver's errors become ours.  Those of integrity pass: whoever inserts knows what they mean."""
    try:
        yield
    except psycopg.IntegrityError:
        raise
    except psycopg.DataError as error:
        raise InvalidError(f"PostgreSQL cannot keep this: {first_line(error)}") from error
    except psycopg.Error as error:  # timeouts of the pool are among them
        raise StoreError(f"PostgreSQL: {type(error).__name__}: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Without the statement."""
    return str(error).partition("\n")[0][:200]
