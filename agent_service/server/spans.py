"""Spans of OpenTelemetry, with the names of its GenAI conventions: invoke_agent -> one span for every node, chat, tool.

Those conventions are in development; what they ask for of prompts and answers is not recorded.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphBubbleUp
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from agent_service.engine.meters import Account
from agent_service.server.tracing import Traces, parent_in, parent_of
from agent_service.store.records import Run, RunStatus

_SERVICE = "forescale-agent"
_FAREWELL_SECONDS = 3.0


class Spans(Traces):
    """Ids and spans."""

    def __init__(self, processor: SpanProcessor) -> None:
        # Shut down by close(), which has a limit; at exit it would wait for a collector that is away.
        self._provider = TracerProvider(resource=Resource.create({"service.name": _SERVICE}), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("forescale.agent")
        self._open: dict[str, Span] = {}

    def accept(self, graph: str, traceparent: str | None) -> str:
        """Where the caller has no trace, one begins here: the queue and every attempt of the run belong to it."""
        if traceparent is not None and parent_in(traceparent) is not None:
            return traceparent
        with self._tracer.start_as_current_span(
            f"accept {graph}", otel_context.Context(), SpanKind.SERVER, {"gen_ai.agent.name": graph}
        ) as span:
            told = span.get_span_context()
        return f"00-{trace.format_trace_id(told.trace_id)}-{trace.format_span_id(told.span_id)}-{told.trace_flags:02x}"

    def begin(self, run: Run) -> tuple[tuple[Any, ...], Account]:
        """A span under the caller's; a later attempt is a sibling, so that one trace tells of both replicas."""
        sent = parent_of(run)
        parent = otel_context.Context()
        links: list[Link] = []
        if sent is not None:
            caller = SpanContext(
                int(sent[0], 16), int(sent[1], 16), is_remote=True, trace_flags=TraceFlags(int(sent[2], 16))
            )
            parent = trace.set_span_in_context(NonRecordingSpan(caller), parent)
            links.append(Link(caller))
        span = self._tracer.start_span(
            f"invoke_agent {run.graph_id}",
            parent,
            SpanKind.SERVER,
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": run.graph_id,
                "gen_ai.conversation.id": run.thread_id,
                "forescale.run.id": run.run_id,
                "forescale.run.attempt": run.attempt,
            },
            links,
        )
        self._open[run.run_id] = span
        told = span.get_span_context()
        account = Account(
            run,
            trace_id=trace.format_trace_id(told.trace_id),
            span_id=trace.format_span_id(told.span_id),
            trace_flags=f"{int(told.trace_flags):02x}",
        )
        return (NodeSpans(self._tracer, span),), account

    def end(self, account: Account) -> None:
        """See Companion."""
        span = self._open.pop(account.run.run_id, None)
        if span is None:
            return
        status = "left" if account.ending is None else account.ending.status.value
        span.set_attribute("forescale.run.status", status)
        if status in (RunStatus.ERROR.value, RunStatus.TIMEOUT.value):
            span.set_attribute("error.type", account.error or status)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    async def close(self) -> None:
        """Send what is on its way, for a moment; in a thread that does not keep the process when nobody takes it."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, _FAREWELL_SECONDS)


class NodeSpans(BaseCallbackHandler):
    """A child for every node, model call and tool call of one run."""

    run_inline = True

    def __init__(self, tracer: trace.Tracer, parent: Span) -> None:
        self._tracer, self._root = tracer, parent
        self._open: dict[UUID, Span] = {}
        self._above: dict[UUID, UUID | None] = {}  # of what has no span of its own, such as the graph inside a node

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        **told: Any,
    ) -> None:
        """A node."""
        node = (metadata or {}).get("langgraph_node")
        if node is not None and told.get("name") == node:
            self._start(run_id, parent_run_id, str(node), {})
        else:
            self._above[run_id] = parent_run_id

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **told: Any
    ) -> None:
        """A call of a model."""
        asked = told.get("metadata") or {}
        model = str(asked.get("ls_model_name") or "unknown")
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.provider.name": str(asked.get("ls_provider") or "unknown"),
        }
        self._start(run_id, parent_run_id, f"chat {model}", attributes)

    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None, **told: Any
    ) -> None:
        """A call of a tool."""
        name = str((serialized or {}).get("name") or told.get("name") or "unknown")
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
        self._start(run_id, parent_run_id, f"execute_tool {name}", attributes)

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """With what it used."""
        span = self._open.get(run_id)
        usage = _usage(response)
        if span is not None and usage:
            span.set_attribute("gen_ai.usage.input_tokens", int(usage.get("input_tokens", 0)))
            span.set_attribute("gen_ai.usage.output_tokens", int(usage.get("output_tokens", 0)))
        self._end(run_id)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """Well."""
        self._end(run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """Well."""
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Not well."""
        span = self._open.get(run_id)
        # A node that asks a person, is drained or is cancelled has not failed.
        if span is not None and not isinstance(error, GraphBubbleUp | asyncio.CancelledError):
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
        self._end(run_id)

    on_tool_error = on_chain_error
    on_llm_error = on_chain_error

    def _start(self, run_id: UUID, parent_run_id: UUID | None, name: str, attributes: dict[str, str]) -> None:
        above = parent_run_id
        while above is not None and above not in self._open:
            above = self._above.get(above)
        inside = trace.set_span_in_context(self._root if above is None else self._open[above])
        self._open[run_id] = self._tracer.start_span(name, inside, SpanKind.INTERNAL, attributes)

    def _end(self, run_id: UUID) -> None:
        self._above.pop(run_id, None)
        span = self._open.pop(run_id, None)
        if span is not None:
            span.end()


def _usage(response: Any) -> Mapping[str, Any]:
    for batch in getattr(response, "generations", None) or ():
        for generation in batch:
            usage = getattr(getattr(generation, "message", None), "usage_metadata", None)
            if usage:
                return dict(usage)
    return {}


def open_spans() -> Spans:
    """Sent by OTLP over HTTP, to where OpenTelemetry's own variables say."""
    return Spans(BatchSpanProcessor(OTLPSpanExporter()))
