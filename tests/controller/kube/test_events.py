"""Kubernetes Events on the real API server: what a person should notice, once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from controller.kube.api import Json, KubeApi
from controller.kube.errors import UnreachableError
from controller.kube.events import EventRecorder, EventType
from tests.controller.kube.fake_api import FakeApi, Store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def events(api: KubeApi, namespace: str) -> list[Json]:
    items, _ = api.get_all(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
    return items


def regarding(namespace: str, *, name: str = "agent", uid: str = "u-1") -> Json:
    return {
        "apiVersion": "forescale.io/v1alpha1", "kind": "PredictiveAutoscaler", "namespace": namespace, "name": name,
        "uid": uid,
    }  # fmt: skip


def a_recorder(api: KubeApi) -> EventRecorder:
    return EventRecorder(api, controller="forescale.io/controller", instance="one")


def test_an_event_names_its_object_and_says_why(api: KubeApi, namespace: str) -> None:
    about = regarding(namespace)

    assert a_recorder(api).record(about, EventType.NORMAL, "Raised", "Raised", "floor 12", now=NOON)

    (found,) = events(api, namespace)
    assert found["regarding"] == about
    assert (found["type"], found["reason"], found["note"]) == ("Normal", "Raised", "floor 12")
    assert (found["reportingController"], found["reportingInstance"]) == ("forescale.io/controller", "one")
    assert found["eventTime"].startswith("2026-03-02T12:00:00")


def test_the_same_is_told_again_only_after_a_while_and_then_with_how_often(api: KubeApi, namespace: str) -> None:
    recorder, about = a_recorder(api), regarding(namespace)

    told = [
        recorder.record(
            about, EventType.WARNING, "Reverted", "Reverted", "put back", now=NOON + timedelta(seconds=15 * at)
        )
        for at in range(41)
    ]

    assert [at for at, was in enumerate(told) if was] == [0, 40]
    notes = sorted(each["note"] for each in events(api, namespace))
    assert notes == ["put back", "put back (and 39 times more since 12:00 UTC)"]


def test_another_reason_and_another_object_are_told_at_once(api: KubeApi, namespace: str) -> None:
    recorder = a_recorder(api)

    for uid, reason in (("u-1", "Raised"), ("u-1", "Released"), ("u-2", "Raised")):
        assert recorder.record(regarding(namespace, uid=uid), EventType.NORMAL, reason, reason, "so", now=NOON)

    assert len(events(api, namespace)) == 3


def test_long_names_and_notes_are_within_what_the_server_takes(api: KubeApi, namespace: str) -> None:
    about = regarding(namespace, name="a" * 253)
    recorder = EventRecorder(api, controller="forescale.io/controller", instance="i" * 300)

    recorder.record(about, EventType.WARNING, "DemandAtFault", "DemandAtFault", "n" * 5000, now=NOON)

    (found,) = events(api, namespace)
    assert len(found["note"]) == 1000


def test_an_event_that_is_refused_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(method: str, path: str) -> None:
        raise UnreachableError("the API server has gone")

    with caplog.at_level(logging.WARNING):
        a_recorder(FakeApi(Store(before_write=refuse))).record(
            regarding("shop"), EventType.NORMAL, "Raised", "Raised", "floor 12", now=NOON
        )

    assert "an event was lost: the API server has gone" in caplog.text
