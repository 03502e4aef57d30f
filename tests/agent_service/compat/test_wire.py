"""What stands on the wire itself: headers, frames and signs of life, which the official client takes for granted."""

from __future__ import annotations

import re
import uuid
from typing import Any

import httpx
import pytest

from tests.agent_service.serving import Served

QUICK = {"assistant_id": "steps", "input": {"done": []}}
SLOW = {"assistant_id": "steps", "input": {"done": [], "seconds": 0.15}}


@pytest.fixture
def http(served: Served) -> Any:
    """Plain HTTP, which follows no redirects."""
    with httpx.Client(base_url=served.url, timeout=30) as client:
        yield client


def a_thread(http: httpx.Client) -> str:
    return str(http.post("/threads", json={}).json()["thread_id"])


def test_answers_say_where_their_run_is_found_without_naming_a_host(http: httpx.Client) -> None:
    thread = a_thread(http)
    created = http.post(f"/threads/{thread}/runs", json=QUICK)
    run = f"/threads/{thread}/runs/{created.json()['run_id']}"
    waited = http.post(f"/threads/{thread}/runs/wait", json=QUICK)
    streamed = http.post(f"/threads/{thread}/runs/stream", json=QUICK)
    stateless = [http.post(f"/runs/{kind}", json=QUICK) for kind in ("wait", "stream")]
    joined, followed = http.get(f"{run}/join"), http.get(f"{run}/stream")

    assert created.headers["content-location"] == run
    assert (joined.headers["location"], joined.headers["content-location"]) == (f"{run}/join", run)
    assert (followed.headers["location"], followed.headers["content-location"]) == (f"{run}/stream", run)
    for answer, kind in zip((waited, streamed, *stateless), ("join", "stream", "join", "stream"), strict=True):
        place = answer.headers["content-location"]
        assert re.fullmatch(r"/threads/[0-9a-f-]{36}/runs/[0-9a-f-]{36}", place)
        assert answer.headers["location"] == f"{place}/{kind}"


def test_a_stream_is_framed_numbered_and_not_kept_by_anybody_on_the_way(http: httpx.Client) -> None:
    answer = http.post("/runs/stream", json={**QUICK, "stream_mode": "updates"})
    frames = answer.content.split(b"\r\n\r\n")

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
    assert frames.pop() == b""
    parts = [re.fullmatch(rb"event: (\S+)\r\ndata: ([^\r\n]+)\r\nid: (\d+)", frame) for frame in frames]
    assert [part[1].decode() for part in parts if part] == ["metadata", *["updates"] * 5, "end"]
    assert [int(part[3]) for part in parts if part] == list(range(1, 8))


def test_silence_is_broken_by_signs_of_life_that_mean_nothing(http: httpx.Client) -> None:
    slow = {**SLOW, "input": {"done": [], "seconds": 0.5}}
    stream = http.post("/runs/stream", json={**slow, "stream_mode": "updates"}).content
    waited = http.post("/runs/wait", json=slow)
    thread = a_thread(http)
    run = http.post(f"/threads/{thread}/runs", json={**SLOW, "stream_mode": ["values", "updates"]}).json()["run_id"]
    filtered = http.get(f"/threads/{thread}/runs/{run}/stream", params={"stream_mode": "custom"}).content

    assert b": heartbeat\r\n\r\n" in stream
    assert waited.content.startswith(b"\n")
    assert waited.json()["done"] == [*"abcde"]
    assert b": heartbeat\r\n\r\n" in filtered  # while the run says only what was not asked for


def test_cancelling_answers_at_once_or_when_it_is_done(http: httpx.Client) -> None:
    thread = a_thread(http)
    body = {"assistant_id": "steps", "input": {"done": [], "seconds": 20}}
    first, second = (http.post(f"/threads/{thread}/runs", json=body).json()["run_id"] for _ in range(2))
    at_once = http.post(f"/threads/{thread}/runs/{second}/cancel", params={"wait": "0"})
    done = http.post(f"/threads/{thread}/runs/{first}/cancel", params={"wait": "1", "action": "interrupt"})
    nothing = http.post(f"/threads/{thread}/runs/{uuid.uuid4()}/cancel")

    assert (at_once.status_code, at_once.content) == (202, b"")
    assert (done.status_code, done.headers["location"]) == (200, f"/threads/{thread}/runs/{first}/join")
    assert isinstance(done.json(), dict)
    assert nothing.status_code == 404


def test_a_page_says_how_many_there_are_and_where_the_next_one_begins(http: httpx.Client) -> None:
    mark = str(uuid.uuid4())
    for _ in range(3):
        http.post("/threads", json={"metadata": {"mark": mark}})

    first = http.post("/threads/search", json={"metadata": {"mark": mark}, "limit": 2})
    last = http.post("/threads/search", json={"metadata": {"mark": mark}, "limit": 2, "offset": 2})

    assert (first.headers["x-pagination-total"], first.headers["x-pagination-next"]) == ("3", "2")
    assert (last.headers["x-pagination-total"], last.headers.get("x-pagination-next")) == ("3", None)
    assert (len(first.json()), len(last.json())) == (2, 1)


def test_what_newer_clients_send_is_ignored_and_null_means_nothing(http: httpx.Client) -> None:
    thread = a_thread(http)
    minimal = http.patch(f"/threads/{thread}", json={"metadata": {"a": 1}}, headers={"prefer": "return=minimal"})
    body = {
        **QUICK, "feedback_keys": 5, "langsmith_tracer": {}, "strict_resume": True, "something_new": [1],
        "interrupt_before": None, "webhook": None, "multitask_strategy": None, "stream_resumable": None,
    }  # fmt: skip
    waited = http.post(f"/threads/{thread}/runs/wait", json=body)
    run = http.get(f"/threads/{thread}/runs").json()[0]["run_id"]
    everything = http.get(f"/threads/{thread}/runs/{run}/stream?stream_mode=", headers={"last-event-id": "-1"})
    resumed = {"assistant_id": "approval", "command": {"resume": "yes", "graph": None, "goto": [], "update": None}}
    asking = a_thread(http)
    http.post(f"/threads/{asking}/runs/wait", json={"assistant_id": "approval", "input": {"question": "go?"}})

    assert (minimal.status_code, minimal.content) == (204, b"")
    assert waited.json() == {"done": [*"abcde"]}
    assert everything.content.startswith(b"event: metadata")
    assert http.post(f"/threads/{asking}/runs/wait", json=resumed).json()["answer"] == "yes"


@pytest.mark.parametrize("more", [{}, {"on_completion": "keep"}])
def test_a_key_stands_for_one_request_and_is_refused_for_another(http: httpx.Client, more: dict[str, Any]) -> None:
    headers = {"idempotency-key": str(uuid.uuid4())}
    first, again = (http.post("/runs", json={**QUICK, **more}, headers=headers) for _ in range(2))
    other = http.post("/runs", json={**QUICK, **more, "input": {"done": ["x"]}}, headers=headers)
    elsewhere = http.post(f"/threads/{a_thread(http)}/runs", json={**QUICK, **more}, headers=headers)

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["run_id"] == again.json()["run_id"]
    assert first.json()["kwargs"].keys().isdisjoint({"is_temporary", "is_stateless"})
    assert (other.status_code, elsewhere.status_code) == (422, 422)
