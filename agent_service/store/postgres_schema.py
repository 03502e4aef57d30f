"""The tables in PostgreSQL."""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from agent_service.errors import StoreError

SCHEMA_VERSION = 1
_LOCK = 0x46534147  # any number; that two replicas that start at once do not both make the tables
# Ended runs are by far the most: whatever is asked every second has an index without them.
_SCHEMA = """
CREATE TABLE agent_threads (
    thread_id text PRIMARY KEY, tenant text NOT NULL, created_at bigint NOT NULL, updated_at bigint NOT NULL,
    metadata bytea NOT NULL, status text NOT NULL, config bytea NOT NULL, state_values bytea, interrupts bytea NOT NULL,
    error bytea, state_updated_at bigint, is_temporary boolean NOT NULL, ttl_minutes double precision,
    expires_at bigint, running_run text
);
CREATE INDEX agent_threads_of_tenant ON agent_threads (tenant, created_at, thread_id) WHERE NOT is_temporary;
CREATE INDEX agent_threads_expiring ON agent_threads (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX agent_threads_temporary ON agent_threads (updated_at) WHERE is_temporary;
CREATE TABLE agent_runs (
    number bigserial PRIMARY KEY, run_id text NOT NULL UNIQUE, thread_id text NOT NULL, tenant text NOT NULL,
    assistant_id text NOT NULL, graph_id text NOT NULL, created_at bigint NOT NULL, updated_at bigint NOT NULL,
    not_before bigint NOT NULL, request bytea NOT NULL, metadata bytea NOT NULL, status text NOT NULL,
    multitask text NOT NULL, attempt integer NOT NULL, crashes integer NOT NULL, holder text,
    accepted_by text NOT NULL DEFAULT '', lease_until bigint, stop text, idempotency_key text, traceparent text,
    started_at bigint, finished_at bigint, result bytea, is_swept boolean NOT NULL DEFAULT false
);
CREATE INDEX agent_runs_of_thread ON agent_runs (thread_id, number);
CREATE INDEX agent_runs_active ON agent_runs (thread_id, number) WHERE status IN ('pending', 'running');
CREATE INDEX agent_runs_pending ON agent_runs (number) WHERE status = 'pending';
CREATE INDEX agent_runs_running ON agent_runs (lease_until) WHERE status = 'running';
CREATE UNIQUE INDEX agent_runs_one_each ON agent_runs (thread_id) WHERE status = 'running';
CREATE UNIQUE INDEX agent_runs_idempotent ON agent_runs (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX agent_runs_unswept ON agent_runs (finished_at) WHERE finished_at IS NOT NULL AND NOT is_swept;
CREATE TABLE agent_events (
    run_id text NOT NULL, seq bigint NOT NULL, name text NOT NULL, data bytea NOT NULL, PRIMARY KEY (run_id, seq)
);
"""


async def make_tables(connection: AsyncConnection[DictRow]) -> None:
    """Where they are not there yet.  Raises StoreError when they were written by a newer version."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    await connection.execute("CREATE TABLE IF NOT EXISTS agent_schema (version integer NOT NULL)")
    row = await (await connection.execute("SELECT max(version) AS version FROM agent_schema")).fetchone()
    version = 0 if row is None or row["version"] is None else int(row["version"])
    if version > SCHEMA_VERSION:
        raise StoreError("its tables were written by a newer version of Forescale")
    if version == 0:
        await connection.execute(_SCHEMA)
        await connection.execute("INSERT INTO agent_schema VALUES (%s)", (SCHEMA_VERSION,))
