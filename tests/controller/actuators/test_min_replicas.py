"""Floors on HPAs of the real API server: the user's value and its owners come back, whoever they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.actuators.min_replicas import MinReplicas
from controller.kube.api import Json, KubeApi
from controller.kube.errors import ConflictError, NotFoundError
from controller.kube.hpas import RECORD, Owner
from controller.resource.resource import Key
from tests.cluster.workloads import an_hpa, hpas
from tests.controller.actuators.owned_hpas import MAKERS, Maker, a_name, by_gitops, by_post, is_ours, likeness, look

AGENT = Key("shop", "agent")


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_value_and_owners_come_back(make: Maker, api: KubeApi, shop: str) -> None:
    name = a_name()
    make(api, shop, name)
    before = likeness(api, shop, name)

    raised = MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)
    assert raised is not None
    assert (raised.min_replicas, raised.is_raised) == (10, True)
    assert is_ours(api, shop, name)
    MinReplicas(api).give_back(look(api, shop, name))

    assert likeness(api, shop, name) == before


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_raising_twice_remembers_the_user_and_not_the_first_raise(make: Maker, api: KubeApi, shop: str) -> None:
    name = a_name()
    make(api, shop, name)
    before, users = likeness(api, shop, name), look(api, shop, name)
    first = MinReplicas(api).raise_to(users, 10, AGENT)
    assert first is not None

    second = MinReplicas(api).raise_to(look(api, shop, name), 12, AGENT)

    assert second is not None
    assert second.record is not None
    assert (second.record.min_replicas, second.record.owners) == (users.min_replicas, users.owners)
    MinReplicas(api).give_back(look(api, shop, name))
    assert likeness(api, shop, name) == before


def test_a_floor_is_never_above_the_maximum(api: KubeApi, shop: str) -> None:
    name = a_name()
    api.create(hpas(shop), an_hpa(name, lowest=2, highest=6))

    raised = MinReplicas(api).raise_to(look(api, shop, name), 99, AGENT)

    assert raised is not None
    assert (raised.min_replicas, raised.is_raised) == (6, True)


@pytest.mark.parametrize("floor", [0, 1, 2])
def test_a_floor_that_is_not_above_the_users_writes_nothing(floor: int, api: KubeApi, shop: str) -> None:
    name = a_name()
    by_post(api, shop, name)
    before = likeness(api, shop, name)

    found = MinReplicas(api).raise_to(look(api, shop, name), floor, AGENT)

    assert found is not None
    assert not found.is_raised
    assert likeness(api, shop, name) == before


def test_a_floor_that_falls_to_the_users_gives_back(api: KubeApi, shop: str) -> None:
    name = a_name()
    by_gitops(api, shop, name)
    before = likeness(api, shop, name)
    MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)

    MinReplicas(api).raise_to(look(api, shop, name), 2, AGENT)

    assert likeness(api, shop, name) == before


@pytest.mark.parametrize(("verb", "manager"), [("update", "somebody"), ("apply", "gitops")])
def test_a_minimum_that_the_user_sets_meanwhile_is_what_comes_back(
    verb: str, manager: str, api: KubeApi, shop: str
) -> None:
    name = a_name()
    by_post(api, shop, name)
    MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)

    if verb == "update":
        api.merge(hpas(shop, name), {"spec": {"minReplicas": 5}}, manager=manager)
    else:
        api.apply(hpas(shop, name), an_hpa(name, lowest=5), manager=manager)
    again = MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)
    assert again is not None
    assert again.record is not None
    assert again.record.min_replicas == 5
    after = MinReplicas(api).give_back(look(api, shop, name))

    assert after is not None
    assert (after.min_replicas, after.record) == (5, None)
    assert after.owners == (Owner(manager, verb.title()),)


def test_a_damaged_record_goes_and_the_floor_stays_since_nobody_knows_a_better(api: KubeApi, shop: str) -> None:
    name = a_name()
    by_post(api, shop, name)
    MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)
    api.merge(hpas(shop, name), {"metadata": {"annotations": {RECORD: "{"}}}, manager="somebody")

    damaged = look(api, shop, name)
    assert damaged.has_damaged_record
    after = MinReplicas(api).give_back(damaged)

    assert after is not None
    assert (after.min_replicas, after.record, after.has_damaged_record) == (10, None, False)


def test_nothing_is_written_to_an_hpa_without_our_record(api: KubeApi, shop: str) -> None:
    name = a_name()
    by_post(api, shop, name)
    before, never = look(api, shop, name), api.guarded(pytest.fail)

    assert MinReplicas(never).give_back(before) == before


@pytest.mark.parametrize("is_recreated", [False, True])
def test_an_hpa_that_was_deleted_is_left_alone(is_recreated: bool, api: KubeApi, shop: str) -> None:
    name = a_name()
    by_post(api, shop, name)
    unraised = look(api, shop, name)
    MinReplicas(api).raise_to(unraised, 10, AGENT)
    raised = look(api, shop, name)
    api.delete(hpas(shop, name))
    if is_recreated:
        by_post(api, shop, name)

    for known in (unraised, raised):
        assert MinReplicas(api).raise_to(known, 12, AGENT) is None
    assert MinReplicas(api).give_back(raised) is None

    if is_recreated:
        assert look(api, shop, name).min_replicas == 2
    else:
        with pytest.raises(NotFoundError):
            look(api, shop, name)


class Busy(KubeApi):
    """Somebody always writes to the HPA just before we do, so many times."""

    def __init__(self, api: KubeApi, times: int, write: Callable[[int], None]) -> None:
        self.api, self.times, self.write = api, times, write

    def get(self, path: str, params: object = None) -> Json:
        return self.api.get(path)

    def apply(self, path: str, body: Json, *, manager: str, force: bool = True) -> Json:
        self._disturb()
        return self.api.apply(path, body, manager=manager, force=force)

    def merge(self, path: str, body: Json, *, manager: str) -> Json:
        self._disturb()
        return self.api.merge(path, body, manager=manager)

    def _disturb(self) -> None:
        if self.times:
            self.times -= 1
            self.write(self.times)


def set_by_somebody(api: KubeApi, shop: str, name: str) -> Callable[[int], None]:
    """A user's new minimum of 5, whenever it comes."""

    def write(left: int) -> None:
        api.merge(hpas(shop, name), {"spec": {"minReplicas": 5}}, manager="somebody")

    return write


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_raise_that_meets_the_users_change_remembers_it(make: Maker, api: KubeApi, shop: str) -> None:
    name = a_name()
    make(api, shop, name)

    busy = Busy(api, 1, set_by_somebody(api, shop, name))
    raised = MinReplicas(busy).raise_to(look(api, shop, name), 10, AGENT)

    assert raised is not None
    assert raised.record is not None
    assert (raised.min_replicas, raised.record.min_replicas) == (10, 5)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_giving_back_that_meets_the_users_change_leaves_it(make: Maker, api: KubeApi, shop: str) -> None:
    name = a_name()
    make(api, shop, name)
    MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)

    busy = Busy(api, 1, set_by_somebody(api, shop, name))
    after = MinReplicas(busy).give_back(look(api, shop, name))

    assert after is not None
    assert (after.min_replicas, after.owners) == (5, (Owner("somebody", "Update"),))


def test_a_write_that_meets_others_all_the_time_is_an_error_and_does_no_harm(api: KubeApi, shop: str) -> None:
    name = a_name()
    by_post(api, shop, name)

    def annotate(left: int) -> None:
        api.merge(hpas(shop, name), {"metadata": {"annotations": {"busy": str(left)}}}, manager="somebody")

    with pytest.raises(ConflictError):
        MinReplicas(Busy(api, 99, annotate)).raise_to(look(api, shop, name), 10, AGENT)

    assert look(api, shop, name).min_replicas == 2
