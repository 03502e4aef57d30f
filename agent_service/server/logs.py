"""Logs: one JSON object a line, with the names that OpenTelemetry gives to logs outside of its own protocol."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from agent_service.engine.meters import Account

run_log = logging.getLogger("forescale.agent.runs")
FINISHED = "run_finished"


class JsonLines(logging.Formatter):
    """A record as one line; what `extra={"told": {...}}` holds stands at the top level."""

    def __init__(self, replica: str) -> None:
        super().__init__()
        self._replica = replica

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        told: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "body": record.getMessage(),
            "replica": self._replica,
            **getattr(record, "told", {}),
        }
        if record.exc_info is not None:
            told["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(told, default=str).decode()


def log_json(replica: str, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Everything that is logged goes to stdout, a line each."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines(replica))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_no_farewell)


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """A stream that a leaving replica breaks off is meant; uvicorn takes it for a mistake."""
    return "without completing response" not in str(record.msg)


def log_finished(account: Account) -> None:
    """One line for every execution that is over: enough to find what is slow without a tracing backend."""
    run, ending = account.run, account.ending
    told: dict[str, Any] = {
        "event": FINISHED if ending is not None else "run_left",
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "graph": run.graph_id,
        "attempt": run.attempt,
        "status": "left" if ending is None else ending.status.value,
        "duration_s": round(account.took_seconds, 6),
        "queue_wait_s": round(account.waited_seconds, 6),
        "nodes_s": {name: round(seconds, 6) for name, seconds in account.node_seconds.items()},
        "trace_id": account.trace_id,
        "span_id": account.span_id,
        "trace_flags": account.trace_flags,
    }
    if account.error is not None:
        told["error.type"] = account.error
    run_log.info("run %s", told["status"], extra={"told": told})
