"""A local copy of a collection on the real API server, through everything that may happen to a watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from controller.kube.api import Json, KubeApi
from controller.kube.errors import ForbiddenError, UnreachableError
from controller.kube.reflector import Reflector
from tests.cluster.launcher import Cluster
from tests.servers.gate import Gate
from tests.servers.processes import wait_until

LABEL = {"labelSelector": "watched=yes"}  # every namespace has a ConfigMap of its own


def config_maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps{name and f'/{name}'}"


def create(api: KubeApi, namespace: str, name: str, value: str = "first") -> Json:
    meta = {"name": name, "labels": {"watched": "yes"}}
    return api.create(config_maps(namespace), {"metadata": meta, "data": {"value": value}})


def change(api: KubeApi, namespace: str, name: str, value: str) -> Json:
    return api.merge(config_maps(namespace, name), {"data": {"value": value}}, manager="tests")


def value_of(manifest: Json) -> str | None:
    """What is kept of a ConfigMap; one without data is of no interest, one that is broken cannot be read."""
    data: dict[str, str] = manifest.get("data") or {}
    if data.get("value") == "broken":
        raise ArithmeticError("it cannot be read")
    return data.get("value")


@contextmanager
def watching(api: KubeApi, namespace: str) -> Iterator[tuple[Reflector[str], list[tuple[str, str | None, str | None]]]]:
    """A reflector that has listed, and what it has seen."""
    seen: list[tuple[str, str | None, str | None]] = []
    reflector: Reflector[str] = Reflector(
        api, config_maps(namespace), value_of, params=LABEL, seen=lambda *one: seen.append(one)
    )
    reflector.start()
    try:
        assert reflector.wait_until_synced(30)
        yield reflector, seen
    finally:
        reflector.stop()


def shows(reflector: Reflector[str], *values: str) -> None:
    wait_until(lambda: sorted(reflector.all()) == sorted(values), f"{values} are known, not {reflector.all()}", 60)


def test_everything_is_read_once_and_followed_from_there(api: KubeApi, namespace: str) -> None:
    create(api, namespace, "before")

    with watching(api, namespace) as (reflector, seen):
        shows(reflector, "first")
        create(api, namespace, "after", "second")
        shows(reflector, "first", "second")
        change(api, namespace, "after", "third")
        shows(reflector, "first", "third")
        api.delete(config_maps(namespace, "before"))
        shows(reflector, "third")

        assert reflector.lists == 1
        assert reflector.get(namespace, "after") == "third"
        assert seen == [
            ("LISTED", None, "first"),
            ("ADDED", None, "second"),
            ("MODIFIED", "second", "third"),
            ("DELETED", "first", None),
        ]


def test_an_object_that_is_of_no_interest_any_more_is_forgotten(api: KubeApi, namespace: str) -> None:
    create(api, namespace, "one")
    with watching(api, namespace) as (reflector, _):
        api.merge(config_maps(namespace, "one"), {"data": None}, manager="tests")

        shows(reflector)


def test_an_object_that_cannot_be_read_does_not_hide_the_others(api: KubeApi, namespace: str) -> None:
    create(api, namespace, "broken", "broken")
    create(api, namespace, "sound")

    with watching(api, namespace) as (reflector, _):
        shows(reflector, "first")
        change(api, namespace, "sound", "second")
        create(api, namespace, "as-broken", "broken")
        shows(reflector, "second")
        change(api, namespace, "broken", "mended")
        shows(reflector, "second", "mended")

        assert reflector.lists == 1


def test_a_connection_that_breaks_is_resumed_and_nothing_is_missed(
    api: KubeApi, gated: KubeApi, gate: Gate, cluster: Cluster, namespace: str
) -> None:
    create(api, namespace, "leaves")
    create(api, namespace, "stays")
    with watching(gated, namespace) as (reflector, seen):
        shows(reflector, "first", "first")
        gate.turn(target=None)
        wait_until(lambda: isinstance(reflector.error, UnreachableError), "the outage is told", 30)
        api.delete(config_maps(namespace, "leaves"))
        change(api, namespace, "stays", "second")
        assert sorted(reflector.all()) == ["first", "first"], "what was known stays known"

        gate.turn(target=int(cluster.url.rpartition(":")[2]))

        shows(reflector, "second")
        assert reflector.error is None
        assert reflector.lists == 1
        assert ("DELETED", "first", None) in seen


def test_history_that_was_compacted_away_is_read_anew_with_what_was_deleted(
    api: KubeApi, gated: KubeApi, gate: Gate, cluster: Cluster, namespace: str
) -> None:
    create(api, namespace, "leaves")
    create(api, namespace, "stays")
    with watching(gated, namespace) as (reflector, seen):
        shows(reflector, "first", "first")
        gate.turn(target=None)
        api.delete(config_maps(namespace, "leaves"))
        change(api, namespace, "stays", "second")
        create(api, namespace, "comes", "third")
        cluster.compact()

        gate.turn(target=int(cluster.url.rpartition(":")[2]))

        shows(reflector, "second", "third")
        assert reflector.lists == 2
        assert {one for one in seen if one[0] == "LISTED"} >= {
            ("LISTED", "first", None),
            ("LISTED", "first", "second"),
            ("LISTED", None, "third"),
        }


def test_an_api_server_that_was_away_is_followed_again(api: KubeApi, cluster: Cluster, namespace: str) -> None:
    create(api, namespace, "one")
    with watching(api, namespace) as (reflector, _):
        cluster.stop_api_server()
        wait_until(lambda: isinstance(reflector.error, UnreachableError), "the outage is told", 30)
        cluster.start_api_server()
        change(api, namespace, "one", "second")

        shows(reflector, "second")


def test_rights_that_are_missing_are_told_and_used_when_they_come(cluster: Cluster, namespace: str) -> None:
    stranger = KubeApi.connect(kubeconfig=cluster.kubeconfig_for("default", namespace), agent="stranger")
    create(KubeApi.connect(kubeconfig=cluster.kubeconfig, agent="tests"), namespace, "one")
    reflector: Reflector[str] = Reflector(stranger, config_maps(namespace), value_of, params=LABEL)
    reflector.start()
    wait_until(lambda: isinstance(reflector.error, ForbiddenError), "the refusal is told", 30)
    assert "give this account the rights in manifests/controller/rbac.yaml" in str(reflector.error)
    assert not reflector.is_synced

    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}
    cluster.admin.create(f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    cluster.admin.create(f"{rbac}/rolebindings", binding)

    shows(reflector, "first")
    reflector.stop()


@pytest.mark.parametrize("is_stale", [False, True])
def test_the_answer_to_a_write_counts_until_the_watch_knows_better(
    is_stale: bool, api: KubeApi, namespace: str
) -> None:
    create(api, namespace, "one")
    with watching(api, namespace) as (reflector, _):
        stale = change(api, namespace, "one", "second")
        newest = change(api, namespace, "one", "third")
        shows(reflector, "third")

        reflector.put(stale if is_stale else newest | {"data": {"value": "as answered"}})

        assert reflector.all() == ["third" if is_stale else "as answered"]


def test_the_answer_to_a_write_brings_nothing_back_that_was_deleted(api: KubeApi, namespace: str) -> None:
    made = create(api, namespace, "one")
    with watching(api, namespace) as (reflector, _):
        api.delete(config_maps(namespace, "one"))
        shows(reflector)

        reflector.put(made)

        assert reflector.all() == []


def test_pages_of_a_long_list_are_put_together(api: KubeApi, namespace: str) -> None:
    for at in range(501):
        create(api, namespace, f"c-{at:03}", str(at))

    first = api.get(config_maps(namespace), {**LABEL, "limit": "500"})
    items, version = api.get_all(config_maps(namespace), LABEL)

    assert len(first["items"]) == 500, "the real server gives pages"
    assert [each["data"]["value"] for each in items] == [str(at) for at in range(501)]
    assert int(version) > 0
