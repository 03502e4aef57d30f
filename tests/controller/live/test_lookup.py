"""What the controller answers about its decisions, over HTTP, after a rehearsed hour."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from controller.live.inputs import KEPT, InputBook
from controller.live.web import Web
from controller.resource.resource import Key
from tests.controller.live.rehearsal import KEY, Rehearsal, an_answer

MINUTES = 30
LONG_AGO = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-01T01:00:00Z"}
HALF = {"overrides": {"quantile": 0.5}}


def a_rehearsal() -> Rehearsal:
    """Pods that start in half a minute."""
    return Rehearsal(lead={"type": "Fixed", "startupSeconds": 30})


@pytest.fixture(scope="module")
def hour() -> Iterator[tuple[Rehearsal, httpx.Client]]:
    """Half an hour of growing demand, each minute with a forecast; the web server of it."""
    one = a_rehearsal()
    for minute in range(MINUTES):
        one.demand = one.metrics.demand = 100.0 + 5 * minute
        one.forecasts.answer = an_answer(120.0 + 5 * minute, one.now)
        for _ in range(4):
            one.pass_time(15)
    probe = lambda: (True, "leads")  # noqa: E731
    web = Web("127.0.0.1", 0, CollectorRegistry(), one.cycle.records, live=probe, ready=probe)
    with httpx.Client(base_url=f"http://127.0.0.1:{web.port}") as client:
        yield one, client
    web.close()


def span(one: Rehearsal, minutes: float = MINUTES) -> dict[str, str]:
    return {"start": (one.now - timedelta(minutes=minutes)).isoformat(), "end": one.now.isoformat()}


def who() -> dict[str, str]:
    return {"namespace": KEY.namespace, "name": KEY.name}


def test_resources_are_listed_with_their_newest_decision(hour: tuple[Rehearsal, httpx.Client]) -> None:
    one, client = hour

    (told,) = client.get("/v1/resources").json()["resources"]

    newest = one.cycle.records.at(KEY)
    assert newest is not None
    assert (told["namespace"], told["name"], told["floor"], told["reason"]) == (
        *who().values(),
        newest.floor,
        newest.reason,
    )


def test_the_decisions_of_a_span_come_in_order_and_as_many_as_asked(hour: tuple[Rehearsal, httpx.Client]) -> None:
    one, client = hour

    found = client.get("/v1/decisions", params={**who(), **span(one)}).json()
    first = client.get("/v1/decisions", params={**who(), **span(one), "limit": 2}).json()
    none = client.get("/v1/decisions", params={**who(), **LONG_AGO})

    instants = [each["at"] for each in found["decisions"]]
    floors = [each["floor"] for each in found["decisions"]]
    assert instants == sorted(instants)
    assert floors == sorted(floors)
    assert floors[-1] > floors[0]
    assert not found["truncated"]
    assert (first["decisions"], first["truncated"]) == (found["decisions"][:2], True)
    assert none.json()["decisions"] == []


def test_what_would_have_been_stands_beside_what_was(hour: tuple[Rehearsal, httpx.Client]) -> None:
    one, client = hour
    target = one.workload.outcome.spec.target_per_replica  # type: ignore[union-attr]

    def ask(**overrides: float) -> dict[str, Any]:
        answer = client.post("/v1/what-if", json={**who(), **span(one), "overrides": overrides})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    same, dearer = ask(targetPerReplica=target), ask(targetPerReplica=0.8 * target)

    assert same["baseline"] == same["changed"]
    assert same["points"] == pytest.approx(MINUTES, abs=1)
    assert same["reproduced"] >= same["points"] - 6  # its memory of the time before the span is gone
    assert dearer["changed"]["replica_minutes"] > 1.1 * dearer["baseline"]["replica_minutes"]
    assert dearer["changed"]["short_minutes"] <= dearer["baseline"]["short_minutes"]
    assert len(dearer["series"]) == dearer["points"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"overrides": {}}, 400, "overrides"),
        ({"overrides": {"replicas": 3}}, 400, "give any of targetPerReplica"),
        ({"name": "other", "overrides": {"quantile": 0.5}}, 404, "no decision for shop/other is kept"),
        ({**LONG_AGO, **HALF}, 404, "is kept from"),
        ({"start": "2026-03-02T08:00:00", **HALF}, 400, "start: Input should have timezone info"),
        ({"start": "2026-03-02T10:00:00Z", "end": "2026-03-02T09:00:00Z", **HALF}, 400, "up to 1 day"),
        ({"more": 1, "overrides": {"quantile": 0.5}}, 400, "more: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_a_replay_that_cannot_be_is_refused_in_words(
    hour: tuple[Rehearsal, httpx.Client], body: dict[str, Any], status: int, words: str
) -> None:
    one, client = hour

    answer = client.post("/v1/what-if", json={**who(), **span(one), **body})

    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "agent"}, "give namespace and name"),
        ({**who(), "at": "10:03"}, "at is no instant with a time zone"),
        ({**who(), "start": "2026-03-02T08:00:00Z"}, "give namespace and name, and at, or start and end"),
        ({**who(), "start": "2026-03-02T08:00:00Z", "end": "2026-03-05T08:00:00Z"}, "give a span of up to"),
        ({**who(), "start": "2026-03-02T08:00:00Z", "end": "2026-03-02T09:00:00Z", "limit": "0"}, "limit is '0'"),
    ],
)
def test_a_question_that_cannot_be_is_refused_in_words(
    hour: tuple[Rehearsal, httpx.Client], params: dict[str, str], words: str
) -> None:
    answer = hour[1].get("/v1/decisions", params=params)

    assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.text


def test_a_body_that_is_too_large_or_another_method_is_refused(hour: tuple[Rehearsal, httpx.Client]) -> None:
    client = hour[1]

    assert client.post("/v1/what-if", content=b"x" * 70_000).status_code == 413
    assert client.post("/v1/decisions", json={}).status_code == 405
    assert client.delete("/v1/what-if").status_code == 405
    assert "/v1/what-if" in client.get("/nowhere").json()["detail"]


def test_what_is_kept_of_inputs_does_not_grow_beyond_two_hours() -> None:
    one, book = a_rehearsal(), InputBook()
    one.metrics.demand = 100.0
    one.forecasts.answer = an_answer(120.0, one.now)
    one.pass_time(15)
    outcome = one.workload.outcome
    assert outcome is not None
    assert outcome.seen is not None
    seen = outcome.seen
    for minute in range(300):
        outcome.seen = replace(seen, now=seen.now + timedelta(minutes=minute))
        book.add(KEY, outcome)

    found = book.between(KEY, seen.now, seen.now + timedelta(minutes=300))

    assert found is not None
    _, inputs, oldest = found
    assert inputs[-1].at - oldest >= KEPT
    assert len(inputs) <= 128
    assert [later.at - seen.at for seen, later in itertools.pairwise(inputs)] == [timedelta(minutes=1)] * (
        len(inputs) - 1
    )
    book.forget({KEY, Key("other", "one")})
    assert book.between(KEY, seen.now, seen.now) is None
