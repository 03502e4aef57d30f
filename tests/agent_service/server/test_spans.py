"""One trace for a run: through the queue, nodes, what they call, and whatever replica goes on with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from agent_service.server.spans import Spans
from agent_service.server.tracing import Traces, parent_in
from tests.agent_service.server.stores import parts
from tests.agent_service.serving import Options, serving
from tests.servers.processes import wait_until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"00-{TRACE}-{SPAN}-01"


@contextmanager
def traced() -> Iterator[tuple[httpx.Client, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    spans = Spans(SimpleSpanProcessor(exporter))
    with serving(parts, Options(companion=spans)) as served, httpx.Client(base_url=served.url, timeout=30) as http:
        served.service.traces = spans
        yield http, exporter


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def above(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def test_nodes_hang_under_the_run_and_the_run_under_its_caller() -> None:
    with traced() as (http, exporter):
        http.post("/runs/wait", json={"assistant_id": "steps", "input": {"done": []}}, headers={"traceparent": CALLER})
        spans = by_name(exporter)

    root = spans["invoke_agent steps"]
    assert spans.keys() == {"invoke_agent steps", *"abcde"}
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
    assert f"{above(root) or 0:016x}" == SPAN
    assert {above(spans[node]) for node in "abcde"} == {root.context.span_id}
    assert root.attributes is not None
    assert root.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert root.attributes["forescale.run.status"] == "success"


@pytest.mark.parametrize("sent", [None, "nonsense", f"00-{'0' * 32}-{SPAN}-01"])
def test_a_run_without_a_callers_trace_begins_one_when_it_is_accepted(sent: str | None) -> None:
    with traced() as (http, exporter):
        headers = {} if sent is None else {"traceparent": sent}
        http.post("/runs/wait", json={"assistant_id": "steps", "input": {"done": []}}, headers=headers)
        spans = by_name(exporter)

    accepted = spans["accept steps"]
    assert above(accepted) is None
    assert above(spans["invoke_agent steps"]) == accepted.context.span_id
    assert len({span.context.trace_id for span in spans.values()}) == 1


def test_a_model_and_a_graph_inside_a_node_hang_under_that_node() -> None:
    with traced() as (http, exporter):
        question = {"messages": [{"role": "user", "content": "hello"}]}
        http.post("/runs/wait", json={"assistant_id": "talk", "input": question})
        http.post("/runs/wait", json={"assistant_id": "nested", "input": {"done": []}})
        spans = by_name(exporter)

    chat = next(span for name, span in spans.items() if name.startswith("chat "))
    assert above(chat) == spans["answer"].context.span_id
    assert chat.attributes is not None
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert {above(spans[node]) for node in "abcde"} == {spans["inner"].context.span_id}


def test_asking_a_person_and_being_cancelled_are_no_errors_and_an_error_is_one() -> None:
    with traced() as (http, exporter):
        thread = http.post("/threads", json={}).json()["thread_id"]
        http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "approval", "input": {"question": "go?"}})
        run = http.post("/runs", json={"assistant_id": "steps", "input": {"seconds": 30}}).json()
        path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
        wait_until(lambda: http.get(path).json()["status"] == "running", "it runs")
        http.post(f"{path}/cancel", params={"wait": "1"})
        http.post("/runs/wait", json={"assistant_id": "failing", "input": {"name": "x"}})
        spans = by_name(exporter)

    states = {name: span.status.status_code for name, span in spans.items()}
    assert states["ask"] == states["invoke_agent approval"] == states["invoke_agent steps"] == StatusCode.UNSET
    assert states["fail"] == states["invoke_agent failing"] == StatusCode.ERROR
    failed = spans["invoke_agent failing"].attributes
    assert failed is not None
    assert failed["error.type"] == "ValueError"


def test_without_spans_the_ids_are_made_once_and_kept() -> None:
    traces = Traces()

    made = parent_in(traces.accept("steps", None))

    assert made is not None
    assert traces.accept("steps", CALLER) == CALLER
    assert parent_in(traces.accept("steps", "00-zz")) is not None
