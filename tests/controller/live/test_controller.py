"""The controller as users run it: as a process with the shipped rights, on a real cluster with the real HPA."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fixtures import a_namespace
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import a_deployment, autoscalers, hpas
from tests.controller.live.observer import Observer
from tests.controller.live.world import (
    ACCOUNT,
    HOME,
    World,
    a_cautious_autoscaler,
    a_world,
    an_exact_hpa,
    shipped_rights,
)
from tests.servers.processes import wait_until

pytestmark = pytest.mark.alone

USER = f"system:serviceaccount:{HOME}:{ACCOUNT}"


@pytest.fixture(scope="module")
def world(cluster: Cluster, far_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of this file; each makes its own resource."""
    with (
        a_namespace(cluster) as namespace,
        a_world(cluster, namespace, tmp_path_factory.mktemp("world"), far_model) as world,
    ):
        yield world


@pytest.fixture(autouse=True)
def clean(world: World) -> Iterator[None]:
    """The resource goes after each test, and with it the floor."""
    yield
    world.cluster.admin.delete(autoscalers(world.namespace, "agent"))
    wait_until(lambda: not world.is_recorded, "the floor is given back", 30)


def owners(world: World) -> list[tuple[str, str]]:
    """Managers of minReplicas."""
    return [
        (each["manager"], each["operation"])
        for each in world.hpa["metadata"]["managedFields"]
        if "f:minReplicas" in each["fieldsV1"].get("f:spec", {})
    ]


def create(world: World, **changed: object) -> None:
    world.cluster.admin.create(autoscalers(world.namespace), a_cautious_autoscaler(**changed))


def change(world: World, **changed: object) -> None:
    world.cluster.admin.merge(autoscalers(world.namespace, "agent"), {"spec": changed})


def test_observe_mode_keeps_score_and_writes_nothing_to_the_hpa(world: World) -> None:
    create(world, mode="Observe")

    wait_until(lambda: world.condition("Acting") == ("False", "Observing"), "it says that it only watches", 30)
    wait_until(lambda: (world.autoscaler["status"].get("floor") or 0) > 2, "it says what it would hold", 60)

    after = world.hpa["metadata"]
    assert "annotations" not in after
    assert [each for each in after["managedFields"] if each["manager"].startswith("forescale")] == []
    assert owners(world) == [("tests", "Update")]
    assert world.condition("Trusted")[0] == "True"
    assert world.autoscaler["status"]["score"]["since"]


def test_active_mode_raises_the_floor_and_gives_value_and_owner_back(world: World) -> None:
    create(world)
    wait_until(lambda: world.is_raised, "a floor is in force", 60)
    assert owners(world) == [("forescale", "Apply")]
    wait_until(lambda: world.condition("Acting") == ("True", "Raised"), "and said to be", 10)

    change(world, paused=True)

    wait_until(lambda: world.is_given_back(2), "the user's value is back", 30)
    assert owners(world) == [("tests", "Update")]
    wait_until(lambda: world.condition("Acting") == ("False", "Paused"), "the status says why", 10)


def test_what_a_gitops_manager_applied_stays_its_own(world: World) -> None:
    path = hpas(world.namespace, "agent")
    applied = an_exact_hpa("agent")
    world.cluster.admin.apply(path, applied, manager="gitops")
    before = {(each["manager"], each["operation"]): each["fieldsV1"] for each in managed(world)}
    create(world)
    wait_until(lambda: world.is_raised, "a floor is in force", 60)

    change(world, paused=True)

    wait_until(lambda: world.is_given_back(2), "the user's value is back", 30)
    after = {(each["manager"], each["operation"]): each["fieldsV1"] for each in managed(world)}
    assert after[("gitops", "Apply")] == before[("gitops", "Apply")]
    assert [name for name, _ in after if name.startswith("forescale")] == []
    world.cluster.admin.delete(path)
    world.cluster.admin.create(hpas(world.namespace), applied)


def managed(world: World) -> list[dict[str, Any]]:
    """Who owns what of the HPA."""
    found: list[dict[str, Any]] = world.hpa["metadata"]["managedFields"]
    return [each for each in found if not each.get("subresource")]


def test_deleting_the_resource_gives_the_floor_back(world: World) -> None:
    create(world)
    wait_until(lambda: world.is_raised, "a floor is in force", 60)

    world.cluster.admin.delete(autoscalers(world.namespace, "agent"))

    wait_until(lambda: world.is_given_back(2), "the user's value is back", 30)
    assert owners(world) == [("tests", "Update")]


def test_a_new_minimum_of_the_users_is_kept_in_mind(world: World) -> None:
    create(world)
    # Far above what the user is about to write: who writes our very floor cannot be told from us.
    wait_until(lambda: world.hpa["spec"]["minReplicas"] > 7, "a floor is in force", 240)

    world.cluster.admin.merge(hpas(world.namespace, "agent"), {"spec": {"minReplicas": 4}}, manager="somebody")
    wait_until(lambda: world.hpa["spec"]["minReplicas"] > 4, "the floor is in force again", 30)
    change(world, mode="Observe")

    wait_until(lambda: not world.is_recorded, "the floor is given back", 30)
    assert world.hpa["spec"]["minReplicas"] == 4
    assert owners(world) == [("somebody", "Update")]
    world.cluster.admin.merge(hpas(world.namespace, "agent"), {"spec": {"minReplicas": 2}})


def test_a_revert_is_counted_and_met_again(world: World) -> None:
    create(world)

    def revert() -> bool:
        # One that falls between our look and our write of the same second is met, but not counted.
        wait_until(lambda: world.is_raised, "a floor is in force", 60)
        world.cluster.admin.merge(hpas(world.namespace, "agent"), {"spec": {"minReplicas": 2}}, manager="gitops")
        return int(world.autoscaler["status"].get("reverts", 0)) >= 3

    wait_until(revert, "reverts are counted", 60)

    wait_until(lambda: world.condition("Ready") == ("False", "Reverted"), "it says what to configure", 30)
    assert world.autoscaler["status"]["reverts"] >= 3
    messages = [each["message"] for each in world.autoscaler["status"]["conditions"] if each["type"] == "Ready"]
    assert "Argo CD" in messages[0]


def test_a_second_resource_on_one_target_is_refused(world: World) -> None:
    create(world)
    second = a_cautious_autoscaler()
    second["metadata"]["name"] = "second"
    time.sleep(1.1)  # instants of creation are whole seconds
    world.cluster.admin.create(autoscalers(world.namespace), second)

    def reasons() -> list[str]:
        found = world.cluster.admin.get(autoscalers(world.namespace, "second")).get("status", {}).get("conditions", [])
        return [each["reason"] for each in found if each["type"] == "Ready"]

    wait_until(lambda: reasons() == ["TargetTaken"], "the younger one is refused", 30)
    world.cluster.admin.delete(autoscalers(world.namespace, "second"))


def test_events_tell_of_the_raise_and_not_of_every_cycle(world: World) -> None:
    create(world)
    wait_until(lambda: world.is_raised, "a floor is in force", 60)
    time.sleep(5)

    found = world.cluster.admin.get(f"/apis/events.k8s.io/v1/namespaces/{world.namespace}/events")["items"]
    ours = [each for each in found if each.get("reportingController") == "forescale.io/controller"]
    raised = [each for each in ours if each["reason"] == "Raised"]
    uid = world.autoscaler["metadata"]["uid"]
    assert len([each for each in raised if each["regarding"]["uid"] == uid]) == 1


def test_replicas_are_never_below_what_the_hpa_alone_holds(world: World) -> None:
    observer = Observer(world.cluster, world.namespace)
    observer.start()
    create(world)
    wait_until(lambda: world.is_raised, "a floor is in force", 60)
    begun = time.monotonic()
    time.sleep(30)
    change(world, paused=True)
    time.sleep(15)
    observer.close()

    assert len(observer.looks) > 50
    assert observer.shortfalls(begun) == []


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_target_without_an_hpa_is_scaled_within_its_bounds(kind: str, world: World) -> None:
    admin, path = world.cluster.admin, f"/apis/apps/v1/namespaces/{world.namespace}/{kind.lower()}s"
    admin.create(path, a_deployment("lone", replicas=3) | {"kind": kind})
    create(
        world,
        scaleTargetRef={"kind": kind, "name": "lone"},
        actuator="Scale",
        bounds={"minReplicas": 4, "maxReplicas": 9},
    )

    wait_until(lambda: 4 <= admin.get(f"{path}/lone")["spec"]["replicas"] <= 9, "it is scaled", 60)
    wait_until(lambda: world.condition("Acting") == ("True", "Raised"), "and said to be", 30)
    assert world.autoscaler["status"]["floor"] <= 9
    admin.delete(f"{path}/lone")


def test_the_shipped_rights_are_those_that_are_used(world: World) -> None:
    """Runs last: nothing missing was refused, and nothing is granted that these tests did not use."""
    asked = [each for each in world.cluster.audit() if each.user == USER]
    seen = {
        (each.group, f"{each.resource}/{each.subresource}" if each.subresource else each.resource, each.verb)
        for each in asked
    }
    refused = [each for each in asked if each.code == 403 and each.at >= world.began]
    granted = {
        (group, resource, verb)
        for manifest in shipped_rights()
        if manifest["kind"] in ("ClusterRole", "Role")
        for rule in manifest["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert refused == []
    assert {each for each in seen if each[1]} - granted == set(), "used, but not granted"
    assert granted - seen == set(), "granted, but not used"
