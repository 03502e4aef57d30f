"""What must hold of every decision, whatever is seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.decision import decide
from controller.spec import Mode, ScalingSpec
from controller.vocabulary import Decision, Memory, Observation
from predictor.forecast import Forecast
from tests.controller.builders import NOON, a_forecast, a_spec

demands = st.floats(0, 2000)
maybe_demands = st.none() | demands | st.just(float("nan"))
specs = st.builds(
    lambda low, span, window, hold, release, small, target: a_spec(
        min_replicas=low,
        max_replicas=low + span,
        scale_down_window_seconds=window,
        hold_seconds=hold,
        release_ratio_per_minute=release,
        small_change_ratio=small,
        target_per_replica=target,
    ),
    st.integers(0, 5),
    st.integers(1, 300),
    st.sampled_from([0, 60, 300]),
    st.sampled_from([0, 60, 600]),
    st.floats(0.1, 1.0),
    st.floats(0.0, 0.3),
    st.floats(1.0, 50.0),
)


@st.composite
def observations(draw: st.DrawFn, *, is_known: bool = False) -> list[Observation]:
    """What is seen at consecutive instants, 1 to 60 s apart; forecasts come, go, age and hold nonsense."""
    now, seen = NOON, []
    for _ in range(draw(st.integers(1, 12))):
        now += timedelta(seconds=draw(st.integers(1, 60)))
        forecast: Forecast | None = a_forecast(
            draw(demands if is_known else st.one_of(demands, st.just(float("nan")))),
            now=now,
            age_seconds=0 if is_known else draw(st.sampled_from([0, 30, 400])),
        )
        if not is_known and draw(st.booleans()):
            forecast = None
        seen.append(
            Observation(
                now=now,
                replicas=draw(st.none() | st.integers(0, 50)),
                demand=draw(demands if is_known else maybe_demands),
                hpa_alone_replicas=None if is_known else draw(st.none() | st.integers(0, 50)),
                forecast=forecast,
                is_trusted=is_known or draw(st.booleans()),
            )
        )
    return seen


def run(spec: ScalingSpec, seen: list[Observation]) -> tuple[list[Decision], list[Memory]]:
    memory, decisions, memories = Memory(), [], []
    for one in seen:
        decision, memory = decide(spec, one, memory)
        decisions.append(decision)
        memories.append(memory)
    return decisions, memories


@given(specs, observations())
def test_the_floor_is_never_outside_the_bounds_nor_below_the_reactive_answer(
    spec: ScalingSpec, seen: list[Observation]
) -> None:
    decisions, _ = run(spec, seen)

    for decision in decisions:
        assert spec.min_replicas <= decision.floor <= spec.max_replicas
        assert decision.floor >= min(decision.reactive_replicas or 0, spec.max_replicas)


@given(specs, observations(is_known=True), st.floats(1.0, 3.0), st.integers(0, 11))
def test_a_higher_forecast_never_gives_fewer_replicas(
    spec: ScalingSpec, seen: list[Observation], factor: float, at: int
) -> None:
    at %= len(seen)
    _, memories = run(spec, seen[:at])
    before = memories[-1] if memories else Memory()
    forecast = seen[at].forecast
    assert forecast is not None

    lower, _ = decide(spec, seen[at], before)
    higher, _ = decide(spec, replace(seen[at], forecast=replace(forecast, peak=forecast.peak * factor)), before)

    assert higher.floor >= lower.floor


@given(specs, observations(is_known=True), st.floats(0.0, 500.0), st.integers(0, 11))
def test_more_present_demand_never_gives_fewer_replicas(
    spec: ScalingSpec, seen: list[Observation], more: float, at: int
) -> None:
    at %= len(seen)
    _, memories = run(spec, seen[:at])
    before = memories[-1] if memories else Memory()

    lower, _ = decide(spec, seen[at], before)
    higher, _ = decide(spec, replace(seen[at], demand=(seen[at].demand or 0.0) + more), before)

    assert higher.floor >= lower.floor


@given(specs, st.integers(1, 40), st.integers(1, 100_000))
def test_absent_data_never_lowers(spec: ScalingSpec, floor: int, seconds: int) -> None:
    at = NOON - timedelta(seconds=seconds)
    blind = Observation(now=NOON)

    decision, memory = decide(spec, blind, Memory(floor, at, at))

    assert decision.floor >= min(floor, spec.max_replicas)
    assert memory.floor == floor


@given(specs, st.integers(1, 40), st.integers(0, 600), st.none() | demands)
def test_a_missing_forecast_does_not_lower_the_floor_while_it_is_held(
    spec: ScalingSpec, floor: int, seconds: int, demand: float | None
) -> None:
    at = NOON - timedelta(seconds=min(seconds, spec.guardrails.hold_seconds))

    decision, _ = decide(spec, Observation(now=NOON, demand=demand), Memory(floor, at, at))

    assert decision.floor >= min(floor, spec.max_replicas)


@given(specs, observations())
def test_without_an_opinion_the_floor_is_at_least_what_the_hpa_alone_would_hold(
    spec: ScalingSpec, seen: list[Observation]
) -> None:
    decisions, _ = run(spec, seen)

    for one, decision in zip(seen, decisions, strict=True):
        if not decision.has_opinion:
            assert decision.floor >= min(one.hpa_alone_replicas or 0, spec.max_replicas)


@given(specs, observations())
def test_the_same_inputs_give_the_same_decisions(spec: ScalingSpec, seen: list[Observation]) -> None:
    assert run(spec, seen) == run(spec, seen)


@given(specs, observations())
def test_observing_and_acting_decide_the_same_floor(spec: ScalingSpec, seen: list[Observation]) -> None:
    watching, _ = run(spec, seen)
    acting, _ = run(replace(spec, mode=Mode.ACTIVE), seen)

    assert [decision.floor for decision in watching] == [decision.floor for decision in acting]
    assert not any(decision.acts for decision in watching)
    assert all(decision.acts for decision in acting)


@given(specs, observations(is_known=True))
def test_the_forecasts_floor_falls_no_faster_than_its_rate(spec: ScalingSpec, seen: list[Observation]) -> None:
    _, memories = run(spec, seen)

    for before, after, one, earlier in zip(memories, memories[1:], seen[1:], seen, strict=False):
        minutes = (one.now - earlier.now).total_seconds() / 60
        kept = max(1 - spec.guardrails.release_ratio_per_minute * minutes, 0.0)
        assert (after.floor or 0) >= int((before.floor or 0) * kept)


@given(observations(is_known=True))
def test_memory_keeps_only_falling_recommendations_of_the_window(seen: list[Observation]) -> None:
    _, memories = run(a_spec(scale_down_window_seconds=300), seen)

    for memory in memories:
        counts = [count for _, count in memory.recommendations]
        assert counts == sorted(counts, reverse=True)
        assert len(set(counts)) == len(counts)


@given(st.floats(), st.floats(-1e300, 1e300) | st.sampled_from([float("nan"), float("inf"), float("-inf")]))
def test_no_number_breaks_a_decision_or_lowers_it_below_the_minimum(demand: Any, peak: float) -> None:
    spec = a_spec(min_replicas=2, max_replicas=50)

    decision, _ = decide(spec, Observation(now=NOON, demand=demand, forecast=a_forecast(peak)), Memory())

    assert 2 <= decision.floor <= 50


def test_a_clock_that_runs_backwards_changes_nothing() -> None:
    later = Observation(
        now=NOON + timedelta(minutes=1), demand=50.0, forecast=a_forecast(now=NOON + timedelta(minutes=1))
    )
    _, memory = decide(a_spec(), later, Memory())

    decision, after = decide(a_spec(), Observation(now=NOON, demand=50.0, forecast=a_forecast()), memory)

    assert decision.at == later.now
    assert after.decided_at == later.now
