"""What acting brings against the HPA alone: the twin, the accounts, the alarms."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.hpa import ControllerSettings, HpaMemory, HpaSpec, Seen, Values, reconcile
from controller.kube.hpas import Current
from controller.live.alarms import AlarmBook
from controller.live.score import Counts, account
from controller.live.twin import HpaAlone, Starting, Totals, plan_of
from predictor.series import FloatArray
from predictor.surges import Demand, SurgeRule, judge
from tests.cluster.workloads import an_hpa

SETTINGS = ControllerSettings()
demands = st.lists(st.floats(0, 500), min_size=1, max_size=60)


def spec_text(*metrics: dict[str, Any]) -> str:
    spec = an_hpa("agent", lowest=2, highest=40)["spec"]
    return json.dumps(spec | ({"metrics": list(metrics)} if metrics else {}))


def cpu(percent: int = 50) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


@given(demands, st.integers(2, 40))
def test_the_twin_holds_what_the_hpa_holds_on_its_own_pods(series: list[float], begin: int) -> None:
    twin, memory, replicas = HpaAlone(begin, 0.0), HpaMemory(), begin
    spec = HpaSpec.for_demand(10_000, 2, 40)

    for at, demand in enumerate(series):
        now = 15.0 * at
        seen = Seen(now, replicas, replicas, readings=(Values((round(demand * 1000),)),))
        outcome, memory = reconcile(spec, SETTINGS, seen, memory)
        replicas = replicas if outcome.scaled_to is None else outcome.scaled_to

        assert twin.advance(plan_of(None, 2, 40, 10_000), Totals((), 0, demand), SETTINGS, now) == replicas


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.integers(1, 8))
def test_more_pods_of_ours_do_not_make_load_look_less(loads: list[int], pods: int) -> None:
    plan = plan_of(spec_text(), 2, 40, 1)
    alone, helped = HpaAlone(2, 0.0), HpaAlone(2, 0.0)

    for at, load in enumerate(loads):
        total = load * 840  # which up to eight pods share evenly
        few = Totals((Current(average_milli=total),), 1, None)
        many = Totals((Current(average_milli=total // pods),), pods, None)
        assert alone.advance(plan, few, SETTINGS, 15.0 * at) == helped.advance(plan, many, SETTINGS, 15.0 * at)


def test_averages_and_values_are_turned_into_totals() -> None:
    twin = HpaAlone(2, 0.0)
    averages = Totals((Current(average_milli=30_000),), 5, None)  # 150 over all pods, 10 each

    found = [twin.advance(plan_of(spec_text(), 2, 40, 1), averages, SETTINGS, 15.0 * at) for at in range(4)]

    assert found[-1] == 15


def test_metrics_that_we_publish_ourselves_are_no_wish_of_the_hpa_alone() -> None:
    ours = json.loads(spec_text())["metrics"][0]
    ours["external"]["metric"]["name"] = "forescale_recommended_replicas"

    plan = plan_of(spec_text(ours, cpu()), 2, 40, 10_000)

    assert plan.sources == (1,)
    assert plan_of(spec_text(ours), 2, 40, 10_000).sources == (), "without its own metrics it follows demand"


def test_a_metric_that_was_not_read_lowers_nothing() -> None:
    twin = HpaAlone(10, 0.0)

    found = [twin.advance(plan_of(spec_text(), 2, 40, 1), Totals((), 10, 0.0), SETTINGS, 15.0 * at) for at in range(40)]

    assert found == [10] * 40


def test_the_users_bounds_hold_at_once() -> None:
    twin = HpaAlone(10, 0.0)

    assert twin.advance(plan_of(None, 12, 40, 10_000), Totals((), 0, None), SETTINGS, 1.0) == 12
    assert twin.advance(plan_of(None, 1, 4, 10_000), Totals((), 0, None), SETTINGS, 2.0) == 4


def test_pods_serve_when_they_have_started_and_the_last_asked_for_are_dropped_first() -> None:
    pods = Starting(2, [])

    assert pods.follow(5, 60, 0) == 2
    assert pods.follow(9, 60, 30) == 2
    assert pods.follow(9, 60, 60) == 5
    assert pods.follow(6, 60, 70) == 5
    assert pods.follow(6, 60, 90) == 6
    assert pods.follow(3, 60, 95) == 3


def counted(seconds: float, demand: float | None, hpa: int | None, ours: int | None) -> Counts:
    counts = Counts()
    account(counts, seconds, demand, 10.0, hpa_ready=hpa, forecast_ready=ours, observed_ready=7)
    return counts


def test_a_shortage_that_only_the_hpa_alone_would_have_is_avoided() -> None:
    found = counted(15, 95.0, 8, 10)

    assert found.scored_seconds == 15
    assert (found.hpa_underprovisioned_seconds, found.forecast_underprovisioned_seconds) == (15, 0)
    assert found.avoided_underprovisioned_seconds == 15
    assert (found.hpa_demand_at_risk, found.forecast_demand_at_risk) == (15 * 95, 0)
    assert (found.hpa_replica_seconds, found.forecast_replica_seconds) == (120, 150)
    assert (found.added_replica_seconds, found.observed_replica_seconds) == (30, 105)


def test_a_shortage_of_both_is_not_avoided() -> None:
    found = counted(15, 200.0, 8, 10)

    assert (found.hpa_underprovisioned_seconds, found.forecast_underprovisioned_seconds) == (15, 15)
    assert found.avoided_underprovisioned_seconds == 0


@pytest.mark.parametrize(
    ("seconds", "demand", "hpa", "ours"),
    [(15, None, 8, 10), (15, 95.0, None, 10), (15, 95.0, 8, None), (121, 95.0, 8, 10)],
)
def test_what_was_not_observed_is_not_scored(
    seconds: float, demand: float | None, hpa: int | None, ours: int | None
) -> None:
    found = counted(seconds, demand, hpa, ours)

    assert found.unscored_seconds == seconds
    assert sum(astuple(found)) == seconds, "nothing else is counted"


def test_time_that_runs_backwards_is_not_counted() -> None:
    assert counted(-15, 95.0, 8, 10) == counted(0, 95.0, 8, 10) == Counts()


@given(
    st.lists(
        st.tuples(
            st.floats(-10, 200), st.none() | st.floats(0, 1e6), st.none() | st.integers(0, 99),
            st.none() | st.integers(0, 99),
        )
    )
)  # fmt: skip
def test_every_second_is_counted_once_and_nothing_ever_falls(
    intervals: list[tuple[float, float | None, int | None, int | None]],
) -> None:
    counts = Counts()
    for seconds, demand, hpa, ours in intervals:
        before = astuple(counts)
        account(counts, seconds, demand, 10.0, hpa_ready=hpa, forecast_ready=ours, observed_ready=1)
        assert all(new >= old for new, old in zip(astuple(counts), before, strict=True))

    assert counts.scored_seconds + counts.unscored_seconds == pytest.approx(sum(max(one[0], 0) for one in intervals))
    assert counts.avoided_underprovisioned_seconds <= counts.hpa_underprovisioned_seconds <= counts.scored_seconds


def test_counters_survive_being_exported() -> None:
    found = counted(15, 95.0, 8, 10)

    assert Counts.from_mapping(found.as_mapping()) == found
    assert Counts.from_mapping({"scored_seconds": 3.0, "unheard_of": 9.0}) == Counts(scored_seconds=3.0)


def surging(seed: int, steps: int = 1440) -> tuple[FloatArray, FloatArray]:
    """A day of minutes with surges, and wishes that foresee some of them and some that never come."""
    random = np.random.default_rng(seed)
    demand = random.poisson(60.0, steps).astype(np.float64)
    asked = np.full(steps, 60.0)
    for begin in range(60, steps - 60, 97):
        if random.random() < 0.7:
            demand[begin : begin + 40] *= random.uniform(1.5, 4)
        if random.random() < 0.7:
            asked[begin - int(random.integers(3, 15)) : begin + 20] = random.uniform(120, 300)
    demand[random.integers(60, steps, 20)] = np.nan
    asked[random.integers(60, steps, 20)] = np.nan
    return demand, asked


@pytest.mark.parametrize("seed", range(6))
def test_alarms_are_counted_live_as_they_are_judged_offline(seed: int) -> None:
    demand, asked = surging(seed)
    book, rule = AlarmBook(60), SurgeRule.for_step(60)

    for at, (seen, wish) in enumerate(zip(demand, asked, strict=True)):
        book.add(60.0 * at, None if np.isnan(seen) else float(seen), None if np.isnan(wish) else float(wish), 10.0)

    offline = judge(Demand.of(demand, 60, 10.0), asked, 0)
    is_final = offline.alarms < len(demand) - 1 - rule.outcome
    assert book.counts.hits == int((offline.outcomes[is_final] == 1).sum())
    assert book.counts.false_alarms == int((offline.outcomes[is_final] == 0).sum())
    assert (book.counts.surges, book.counts.caught) == (offline.score.surges, offline.score.caught)
    assert book.counts.alarms > 3
    assert book.counts.surges > 3


def test_looking_more_often_than_once_a_step_counts_nothing_twice() -> None:
    demand, asked = surging(1)
    once, often = AlarmBook(60), AlarmBook(60)

    for at, (seen, wish) in enumerate(zip(demand, asked, strict=True)):
        known = None if np.isnan(seen) else float(seen), None if np.isnan(wish) else float(wish)
        once.add(60.0 * at, *known, 10.0)
        for later in (0, 15, 30, 45):
            often.add(60.0 * at + later, *known, 10.0)

    assert often.counts == once.counts


def test_a_long_gap_forgets_everything_but_the_counts() -> None:
    demand, asked = surging(1)
    book = AlarmBook(60)
    for at, (seen, wish) in enumerate(zip(demand, asked, strict=True)):
        book.add(60.0 * at, None if np.isnan(seen) else float(seen), None if np.isnan(wish) else float(wish), 10.0)
    before = book.counts

    for at in range(5):
        book.add(60.0 * (at + 100_000), 60.0, 60.0, 10.0)

    assert book.counts == before
