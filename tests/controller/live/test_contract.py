"""What must hold whatever happens: random days of a controller between users, faults and an HPA that is alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from controller.kube.errors import ConflictError, KubeError, NotLeadingError, UnreachableError
from controller.kube.hpas import MANAGER
from tests.cluster.workloads import an_hpa, hpas
from tests.controller.live.rehearsal import ALONE, OURS, SHOP, Rehearsal, an_answer

RAILS = {"staleAfterSeconds": 60, "holdSeconds": 60, "scaleDownWindowSeconds": 60}
LEAD = {"type": "Fixed", "startupSeconds": 30}
EXPIRY_SECONDS = 60 + 60 + 60 + 600  # a forecast stale, its floor held, stabilized, released step by step


@dataclass(frozen=True, slots=True)
class Happening:
    """What comes about before one cycle."""

    seconds: float
    demand: float
    seen: str  # whether the metric server shows it
    peak: float | None  # of a new forecast; None: the last one stays and ages
    is_trusted: bool
    trouble: tuple[str, int]  # what fails after how many writes; in a race, what the user does comes between them
    user: tuple[str, int, str]  # what a user does, a number for it, by which manager
    spec: dict[str, Any] | None  # a new one of the resource
    is_scraped: bool


TROUBLES = ["API", "conflict", "lease", "lags", "restart", "forecasts", "race", "race"]
happenings = st.builds(
    Happening,
    seconds=st.floats(1, 60),
    demand=st.floats(10, 150) | st.floats(0, 350),
    seen=st.sampled_from(["yes"] * 9 + ["missing", "away", "NaN"]),
    peak=st.none() | st.floats(0, 400) | st.floats(100, 300) | st.floats(150, 250),
    is_trusted=st.sampled_from([True] * 9 + [False]),
    trouble=st.tuples(
        st.sampled_from(["none"] * 9 + TROUBLES),
        st.integers(0, 2),
    ),
    user=st.tuples(
        st.sampled_from(["nothing"] * 12 + ["update", "apply", "maximum", "delete", "recreate"]),
        st.integers(1, 30),
        st.sampled_from(["somebody", "gitops"]),
    ),
    spec=st.sampled_from([None] * 12 + [{"mode": "Observe"}, {"paused": True}, {}, {}]),
    is_scraped=st.booleans(),
)
days = st.lists(happenings, min_size=10, max_size=40)
begins = st.none() | st.integers(1, 10)
# Shrinking days takes minutes and is left to whoever looks into a failure.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
thorough = settings(max_examples=40, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])


def a_rehearsal(lowest: int | None) -> Rehearsal:
    return Rehearsal(lowest=lowest, lead=LEAD, guardrails=RAILS)


def play(one: Rehearsal, what: Happening) -> None:
    """One happening, and the cycle after it."""
    trouble, count = what.trouble
    if trouble == "restart" or not one.leads:
        one.start()
    one.demand = what.demand
    one.metrics.is_away = what.seen == "away"
    one.metrics.demand = {"yes": what.demand, "NaN": math.nan}.get(what.seen)
    if trouble == "forecasts":
        one.forecasts.answer = None
    elif what.peak is not None:
        one.forecasts.answer = an_answer(what.peak, one.now, is_trusted=what.is_trusted)
    if trouble == "race":
        one.before_write[count] = lambda: act(one, *what.user)
    else:
        act(one, *what.user)
    if what.spec is not None:
        one.set_spec(lead=LEAD, guardrails=RAILS, **what.spec)
    one.stage.lags = trouble == "lags"
    if trouble in FAULTS:
        one.writes_until_fault, one.fault = count, FAULTS[trouble]
    one.pass_time(what.seconds)
    if what.is_scraped:
        one.scrape()


def raise_floor(one: Rehearsal) -> None:
    """A cycle in which all is well and a floor is asked for, as far as the user's bounds allow."""
    one.start()
    one.set_spec(lead=LEAD, guardrails=RAILS)
    one.demand, one.metrics.is_away, one.metrics.demand, one.stage.lags = 100.0, False, 100.0, False
    one.forecasts.answer = an_answer(250, one.now)
    one.pass_time(15)
    ours = one.hpa()
    assert ours is None or ours.is_raised or ours.user_min_replicas >= min(25, ours.max_replicas)


FAULTS: dict[str, Exception] = {
    "API": UnreachableError("the API server has gone"),
    "conflict": ConflictError("it has changed"),
    "lease": NotLeadingError("the lease is lost"),
}


def act(one: Rehearsal, what: str, number: int, manager: str) -> None:
    """A user does the same to both HPAs; what is refused for ours is not done to the other."""
    ours = one.hpa()
    if ours is not None and ours.is_raised and number == ours.min_replicas:
        return  # the very floor in force: who sets it leaves no trace
    try:
        for name in ("agent", "alone"):
            path = hpas(SHOP, name)
            if what in ("delete", "recreate") and ours is not None:
                one.users.delete(path)
            if what == "recreate":
                one.users.create(hpas(SHOP), an_hpa(name, lowest=number, highest=30))
            if ours is None:
                continue
            if what == "update":
                one.users.merge(path, {"spec": {"minReplicas": number}}, manager=manager)
            elif what == "maximum":
                one.users.merge(path, {"spec": {"maxReplicas": number}}, manager=manager)
            elif what == "apply":
                body = an_hpa(name, lowest=number, highest=30)
                one.users.apply(path, body, manager=manager)
    except KubeError as error:
        assert error.status == 422  # noqa: PT017 - beyond the bounds of the one that is asked first


def lowest_and_highest(one: Rehearsal) -> tuple[int, int, int]:
    """The minimum in force, the user's own, the maximum."""
    ours, alone = one.hpa(OURS), one.hpa(ALONE)
    if ours is None or alone is None:
        return 1, 1, 1
    return ours.min_replicas, alone.min_replicas, ours.max_replicas


@thorough
@given(begins, days)
def test_the_floor_is_never_below_the_users_minimum_nor_above_the_maximum(
    lowest: int | None, day: list[Happening]
) -> None:
    one = a_rehearsal(lowest)

    def look() -> None:  # after every single write of ours, whatever comes after it
        floor, users, highest = lowest_and_highest(one)
        assert users <= floor <= highest

    one.after_write = look
    for what in day:
        play(one, what)
        look()


@thorough
@given(begins, days)
def test_replicas_are_never_fewer_than_the_hpa_alone_would_hold(lowest: int | None, day: list[Happening]) -> None:
    one = a_rehearsal(lowest)

    for what in day:
        play(one, what)
        assert one.ours.replicas >= one.alone.replicas


@thorough
@given(begins, days)
def test_nothing_is_written_without_leading_nor_to_what_is_not_ours(lowest: int | None, day: list[Happening]) -> None:
    one = a_rehearsal(lowest)

    for what in day:
        play(one, what)

    assert all(is_leading for _, is_leading in one.writes)
    assert {path for path, _ in one.writes} <= {OURS}


@thorough
@given(begins, days)
def test_observe_mode_writes_nothing(lowest: int | None, day: list[Happening]) -> None:
    one = Rehearsal(lowest=lowest, lead=LEAD, guardrails=RAILS, mode="Observe")

    for what in day:
        if what.spec is None:
            play(one, what)

    assert one.writes == []


@settings(thorough, max_examples=20)
@given(begins, days, st.sampled_from(["away", "old", "distrusted"]))
def test_the_floor_is_released_once_forecasts_stay_away(lowest: int | None, day: list[Happening], how: str) -> None:
    one = a_rehearsal(lowest)
    for what in day:
        play(one, what)
    raise_floor(one)
    if how == "away":
        one.forecasts.answer = None

    for _ in range(EXPIRY_SECONDS // 60):
        if how == "distrusted":
            one.forecasts.answer = an_answer(300, one.now, is_trusted=False)
        one.pass_time(60)

    floor, users, _ = lowest_and_highest(one)
    assert floor == users
    ours = one.hpa()
    assert ours is None or ours.record is None


@thorough
@given(begins, days, st.sampled_from(["pause", "Observe", "delete"]))
def test_one_cycle_gives_everything_back(lowest: int | None, day: list[Happening], how: str) -> None:
    one = a_rehearsal(lowest)
    for what in day:
        play(one, what)
    raise_floor(one)
    if how == "delete":
        one.stage.resource = None
    else:
        one.set_spec(lead=LEAD, guardrails=RAILS, **({"paused": True} if how == "pause" else {"mode": "Observe"}))

    one.pass_time(15)

    floor, users, _ = lowest_and_highest(one)
    assert floor == users
    stored = one.store.objects.get(OURS)
    assert stored is None or not any(name.startswith(MANAGER) for name, _ in stored.managed)
    assert stored is None or "annotations" not in stored.body["metadata"] or not stored.body["metadata"]["annotations"]


@thorough
@given(begins, days)
def test_every_second_is_counted_once_also_over_restarts(lowest: int | None, day: list[Happening]) -> None:
    one = a_rehearsal(lowest)

    for what in day:
        play(one, what)
        keeper = one.workload.scorekeeper
        since, until = keeper.scored_since(), keeper.scored_until()
        if since is None or until is None:
            continue  # no decision yet
        counts = keeper.counts
        assert math.isclose(counts.scored_seconds + counts.unscored_seconds, until - since, abs_tol=1e-3)
        assert until <= one.now.timestamp()
