"""Who may write: on a real Lease with clocks of our own, and with the real ones through an outage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from controller.kube.api import Json, KubeApi
from controller.kube.errors import NotFoundError, NotLeadingError
from controller.kube.leadership import Leadership
from predictor.errors import InputError
from tests.servers.gate import Gate
from tests.servers.processes import wait_until

LEASE, RENEW, RETRY = 15.0, 10.0, 2.0


@dataclass(slots=True)
class Clock:
    """Seconds that pass when told."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stand(api: KubeApi, namespace: str, clock: Clock) -> Callable[[str], Leadership]:
    """Candidates for one lease, on one clock."""

    def candidate(identity: str, changed: Callable[[bool], None] | None = None) -> Leadership:
        return Leadership(
            api, namespace=namespace, name="controller", identity=identity, lease_seconds=LEASE, renew_seconds=RENEW,
            retry_seconds=RETRY, changed=changed, monotonic=clock,
        )  # fmt: skip

    return candidate


def lease(api: KubeApi, namespace: str) -> Json:
    found: Json = api.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/controller")
    return found


def test_the_first_to_ask_leads_and_the_others_wait(stand: Callable[[str], Leadership]) -> None:
    one, two = stand("one"), stand("two")

    for _ in range(3):
        one.step()
        two.step()

    assert (one.is_leading, two.is_leading) == (True, False)
    one.check()
    with pytest.raises(NotLeadingError, match="two does not hold the lease controller: nothing is written"):
        two.check()


def test_a_leader_that_does_not_renew_stops_before_another_begins(
    stand: Callable[[str], Leadership], clock: Clock
) -> None:
    one, two = stand("one"), stand("two")
    one.step()
    two.step()

    led = []
    for _ in range(20):
        clock.now += 1
        two.step()
        led.append((one.is_leading, two.is_leading))

    assert led[0] == (True, False)
    assert (False, False) in led, "nobody leads for a while"
    assert led[-1] == (False, True)
    assert (True, True) not in led
    assert led.index((False, False)) == RENEW - 1


def test_the_old_leader_learns_that_another_leads(stand: Callable[[str], Leadership], clock: Clock) -> None:
    one, two = stand("one"), stand("two")
    one.step()
    two.step()
    clock.now += LEASE + 1
    two.step()
    assert two.is_leading

    one.step()

    assert not one.is_leading
    assert two.transitions == 1
    assert two.hears_leader
    assert one.hears_leader


def test_a_leader_that_returns_while_the_lease_is_still_its_own_goes_on(
    stand: Callable[[str], Leadership], clock: Clock
) -> None:
    one, two = stand("one"), stand("two")
    one.step()
    two.step()
    clock.now += RENEW + 1
    assert not one.is_leading

    one.step()
    two.step()

    assert (one.is_leading, two.is_leading) == (True, False)


def test_stopping_gives_the_lease_to_the_next_at_once(
    stand: Callable[[str], Leadership], api: KubeApi, namespace: str
) -> None:
    one, two = stand("one"), stand("two")
    one.step()
    two.step()

    one.stop()
    assert not one.is_leading
    assert not lease(api, namespace)["spec"].get("holderIdentity")
    two.step()

    assert two.is_leading
    assert lease(api, namespace)["spec"]["holderIdentity"] == "two"


def test_stopping_does_not_take_the_lease_from_another(
    stand: Callable[[str], Leadership], api: KubeApi, namespace: str, clock: Clock
) -> None:
    one, two = stand("one"), stand("two")
    one.step()
    two.step()
    clock.now += LEASE + 1
    two.step()

    one.stop()

    assert two.is_leading
    assert lease(api, namespace)["spec"]["holderIdentity"] == "two"


def test_a_lease_that_somebody_deleted_is_made_anew(
    stand: Callable[[str], Leadership], api: KubeApi, namespace: str
) -> None:
    one = stand("one")
    one.step()
    api.delete(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/controller")

    one.step()

    assert one.is_leading
    assert lease(api, namespace)["spec"]["holderIdentity"] == "one"


def test_a_write_without_leading_is_not_even_sent(
    stand: Callable[[str], Leadership], api: KubeApi, namespace: str, clock: Clock
) -> None:
    one = stand("one")
    guarded = api.guarded(one.check)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with pytest.raises(NotLeadingError):
        guarded.create(path, {"metadata": {"name": "too-early"}})
    one.step()
    guarded.create(path, {"metadata": {"name": "in-time"}})
    clock.now += RENEW

    writes: tuple[Callable[[], Json], ...] = (
        lambda: guarded.create(path, {"metadata": {"name": "too-late"}}),
        lambda: guarded.merge(f"{path}/in-time", {"data": {"a": "b"}}, manager="tests"),
        lambda: guarded.apply(f"{path}/in-time", {"metadata": {"name": "in-time"}}, manager="tests"),
        lambda: guarded.replace(f"{path}/in-time", {"metadata": {"name": "in-time"}}),
        lambda: guarded.delete(f"{path}/in-time"),
    )
    for write in writes:
        with pytest.raises(NotLeadingError):
            write()

    assert "data" not in guarded.get(f"{path}/in-time"), "reading is allowed"
    for name in ("too-early", "too-late"):
        with pytest.raises(NotFoundError):
            api.get(f"{path}/{name}")


def test_changes_are_told_once(api: KubeApi, namespace: str, clock: Clock) -> None:
    told: list[bool] = []
    one = Leadership(api, namespace=namespace, name="controller", identity="one", changed=told.append, monotonic=clock)
    for _ in range(3):
        one.step()
    one.stop()

    assert told == [True, False]


def test_times_that_cannot_keep_two_leaders_apart_are_refused(api: KubeApi, namespace: str) -> None:
    with pytest.raises(InputError, match="give them in growing order"):
        Leadership(api, namespace=namespace, name="controller", identity="one", lease_seconds=10, renew_seconds=10)


@pytest.fixture
def candidates(api: KubeApi, gated: KubeApi, namespace: str) -> Iterator[tuple[Leadership, Leadership]]:
    """Two with real clocks and threads, the first behind the gate."""
    one, two = (
        Leadership(
            way_in, namespace=namespace, name="controller", identity=identity, lease_seconds=2.0, renew_seconds=1.2,
            retry_seconds=0.2,
        )
        for identity, way_in in (("one", gated), ("two", api))
    )  # fmt: skip
    yield one, two
    one.stop()
    two.stop()


def test_a_leader_that_is_cut_off_stops_before_the_other_begins(
    candidates: tuple[Leadership, Leadership], gate: Gate
) -> None:
    one, two = candidates
    one.start()
    wait_until(lambda: one.is_leading, "the first leads", 30)
    two.start()
    gate.turn(target=None)
    led: set[tuple[bool, bool]] = set()

    def other_leads() -> bool:
        led.add((one.is_leading, two.is_leading))
        return two.is_leading

    wait_until(other_leads, "the other takes over", 30)

    assert (True, True) not in led
    assert (False, False) in led
