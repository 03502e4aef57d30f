"""Threads and runs as rows of a database, and back.  Instants are whole microseconds of the epoch; JSON is bytes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from agent_service.store.records import Json, Multitask, Run, RunStatus, Stop, Thread, ThreadStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

THREAD_COLUMNS = (
    "thread_id", "tenant", "created_at", "updated_at", "metadata", "status", "config", "state_values", "interrupts",
    "error", "state_updated_at", "is_temporary", "ttl_minutes", "expires_at",
)  # fmt: skip
RUN_COLUMNS = (
    "run_id", "thread_id", "tenant", "assistant_id", "graph_id", "created_at", "updated_at", "not_before", "request",
    "metadata", "status", "multitask", "attempt", "crashes", "holder", "accepted_by", "lease_until", "stop",
    "idempotency_key", "traceparent", "started_at", "finished_at", "result",
)  # fmt: skip
RUN_STATE = (
    "updated_at", "status", "attempt", "crashes", "holder", "lease_until", "stop", "started_at", "finished_at",
    "result",
)  # fmt: skip
"""What of a run ever changes: its request may be large, and is written once."""
_RUN_STATE_AT = tuple(RUN_COLUMNS.index(name) for name in RUN_STATE)


def micros(at: datetime) -> int:
    """Since the epoch."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """Of microseconds since the epoch."""
    return _EPOCH + at * _MICROSECOND


def dumped(value: Json) -> bytes:
    """JSON."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def thread_row(thread: Thread) -> tuple[Any, ...]:
    """In the order of THREAD_COLUMNS."""
    return (
        thread.thread_id,
        thread.tenant,
        micros(thread.created_at),
        micros(thread.updated_at),
        dumped(thread.metadata),
        thread.status.value,
        dumped(thread.config),
        thread.values,
        dumped(thread.interrupts),
        None if thread.error is None else dumped(thread.error),
        _maybe_micros(thread.state_updated_at),
        thread.is_temporary,
        thread.ttl_minutes,
        _maybe_micros(thread.expires_at),
    )


def thread_of(row: Mapping[str, Any]) -> Thread:
    """Of a row with THREAD_COLUMNS."""
    return Thread(
        thread_id=row["thread_id"],
        tenant=row["tenant"],
        created_at=instant(row["created_at"]),
        updated_at=instant(row["updated_at"]),
        metadata=orjson.loads(row["metadata"]),
        status=ThreadStatus(row["status"]),
        config=orjson.loads(row["config"]),
        values=row["state_values"],
        interrupts=orjson.loads(row["interrupts"]),
        error=None if row["error"] is None else orjson.loads(row["error"]),
        state_updated_at=_maybe_instant(row["state_updated_at"]),
        is_temporary=bool(row["is_temporary"]),
        ttl_minutes=row["ttl_minutes"],
        expires_at=_maybe_instant(row["expires_at"]),
    )


def run_row(run: Run) -> tuple[Any, ...]:
    """In the order of RUN_COLUMNS."""
    return (
        run.run_id,
        run.thread_id,
        run.tenant,
        run.assistant_id,
        run.graph_id,
        micros(run.created_at),
        micros(run.updated_at),
        micros(run.not_before),
        dumped(run.request),
        dumped(run.metadata),
        run.status.value,
        run.multitask.value,
        run.attempt,
        run.crashes,
        run.holder,
        run.accepted_by,
        _maybe_micros(run.lease_until),
        None if run.stop is None else run.stop.value,
        run.idempotency_key,
        run.traceparent,
        _maybe_micros(run.started_at),
        _maybe_micros(run.finished_at),
        run.result,
    )


def run_state(run: Run) -> tuple[Any, ...]:
    """In the order of RUN_STATE."""
    row = run_row(run)
    return tuple(row[position] for position in _RUN_STATE_AT)


def run_of(row: Mapping[str, Any]) -> Run:
    """Of a row with RUN_COLUMNS."""
    return Run(
        run_id=row["run_id"],
        thread_id=row["thread_id"],
        tenant=row["tenant"],
        assistant_id=row["assistant_id"],
        graph_id=row["graph_id"],
        created_at=instant(row["created_at"]),
        updated_at=instant(row["updated_at"]),
        not_before=instant(row["not_before"]),
        request=orjson.loads(row["request"]),
        metadata=orjson.loads(row["metadata"]),
        status=RunStatus(row["status"]),
        multitask=Multitask(row["multitask"]),
        attempt=row["attempt"],
        crashes=row["crashes"],
        holder=row["holder"],
        accepted_by=row["accepted_by"],
        lease_until=_maybe_instant(row["lease_until"]),
        stop=None if row["stop"] is None else Stop(row["stop"]),
        idempotency_key=row["idempotency_key"],
        traceparent=row["traceparent"],
        started_at=_maybe_instant(row["started_at"]),
        finished_at=_maybe_instant(row["finished_at"]),
        result=row["result"],
    )


def _maybe_micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def _maybe_instant(at: int | None) -> datetime | None:
    return None if at is None else instant(at)
