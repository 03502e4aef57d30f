"""Traces: an id for every run, the caller's where one was sent; spans where OpenTelemetry is asked for.

The caller's `traceparent` is kept with the run, so that the trace crosses the queue, and a change of replica.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import secrets
from collections.abc import Mapping
from typing import Any

from agent_service.engine.meters import Account
from agent_service.errors import SettingsError
from agent_service.store.records import Run

log = logging.getLogger("forescale.agent")

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Traces:
    """Ids only: for logs and exemplars."""

    def accept(self, graph: str, traceparent: str | None) -> str:
        """What is kept with a run: the caller's traceparent, or one of ours, so that all its attempts are one trace."""
        if traceparent is not None and parent_in(traceparent) is not None:
            return traceparent
        return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"

    def begin(self, run: Run) -> tuple[tuple[Any, ...], Account]:
        """See Companion."""
        parent = parent_of(run)
        trace_id = parent[0] if parent is not None else secrets.token_hex(16)
        flags = parent[2] if parent is not None else "00"
        return (), Account(run, trace_id=trace_id, span_id=secrets.token_hex(8), trace_flags=flags)

    def end(self, account: Account) -> None:
        """See Companion."""

    def unexecuted(self, run: Run) -> None:
        """See Companion."""

    async def close(self) -> None:
        """Nothing is on its way."""


def parent_in(traceparent: str) -> tuple[str, str, str] | None:
    """Trace id, span id and flags; None for anything that is not a traceparent."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return None if found is None else (found[1], found[2], found[3])


def parent_of(run: Run) -> tuple[str, str, str] | None:
    """What is kept with the run."""
    return parent_in(run.traceparent or "")


def open_traces(environment: Mapping[str, str] = os.environ) -> Traces:
    """With spans where an OTLP endpoint is named; raises SettingsError when OpenTelemetry is not installed then."""
    if not any(environment.get(name) for name in _ENDPOINTS):
        return Traces()
    try:
        spans = importlib.import_module("agent_service.server.spans")
    except ImportError as error:
        raise SettingsError(
            f"{_ENDPOINTS[0]} is set, and OpenTelemetry is not installed ({error.name}); "
            "install it with: pip install 'forescale[agent-tracing]'"
        ) from error
    found: Traces = spans.open_spans()
    return found
