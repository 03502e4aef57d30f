"""Replays of recorded decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.capacity import lead_steps
from controller.decision import decide
from controller.spec import ScalingSpec
from controller.vocabulary import Memory, Observation
from controller.whatif import Input, Peaks, compare, replay, with_overrides
from predictor.errors import InputError
from tests.controller.builders import NOON, a_forecast, a_rising_forecast, a_spec, an_observation

MINUTE = timedelta(minutes=1)


def recorded(spec: ScalingSpec, course: Sequence[Observation]) -> list[Input]:
    """What would be kept of decisions on these observations."""
    memory, kept = Memory(), list[Input]()
    for seen in course:
        decision, memory = decide(spec, seen, memory)
        peaks = None
        if seen.forecast is not None:
            forecast = seen.forecast
            step = min(int(lead_steps(spec, seen, forecast)), forecast.horizon)
            rows = forecast.peak[step - 1], forecast.peak[min(step, forecast.horizon - 1)]
            peaks = Peaks(
                forecast.issued_at, forecast.step_seconds, step, forecast.levels, *(tuple(row.tolist()) for row in rows)
            )
        kept.append(
            Input(
                seen.now, seen.demand, seen.recent_peak_demand, seen.hpa_alone_replicas, seen.replicas, seen.is_trusted,
                peaks, decision.floor,
            )
        )  # fmt: skip
    return kept


def a_course(peaks: Sequence[float], **told: object) -> list[Observation]:
    """A minute apart, each with a forecast of such a peak."""
    return [
        an_observation(now=NOON + minute * MINUTE, forecast=a_forecast(peak, now=NOON + minute * MINUTE), **told)
        for minute, peak in enumerate(peaks)
    ]


def test_the_same_settings_give_what_was_recorded() -> None:
    spec = a_spec()
    inputs = recorded(spec, a_course([100, 120, 200, 200, 60, 60, 60]))

    found = compare(spec, inputs, {"targetPerReplica": spec.target_per_replica})

    assert found.baseline == found.changed
    assert (found.reproduced, len(inputs)) == (7, 7)
    assert found.baseline.decided == tuple(seen.decided for seen in inputs)
    assert found.seen_minutes == 7


def test_a_forecast_is_kept_well_enough_to_decide_the_same_between_its_steps() -> None:
    spec = a_spec(startup_seconds=100.0, quantile=0.95)
    seen = an_observation(forecast=a_rising_forecast(100, 10), now=NOON + timedelta(seconds=20))
    inputs = recorded(spec, [seen])

    assert replay(spec, inputs).decided == (inputs[0].decided,)


def test_a_lower_target_asks_for_more_replicas() -> None:
    spec = a_spec(target_per_replica=10.0)
    inputs = recorded(spec, a_course([100] * 10))

    found = compare(spec, inputs, {"targetPerReplica": 5.0})

    assert found.changed.highest_floor == 2 * found.baseline.highest_floor == 20
    assert found.changed.replica_minutes > found.baseline.replica_minutes
    assert any("the HPA's own target" in note for note in found.notes)


def test_bounds_and_quantile_are_followed() -> None:
    spec = a_spec()
    inputs = recorded(spec, a_course([100] * 12))

    def last(**overrides: float) -> int:
        return compare(spec, inputs, overrides).changed.decided[-1]

    assert last(minReplicas=15) == 15
    assert last(maxReplicas=7) == 7
    assert last(quantile=0.99) == 12
    assert last(quantile=0.5) == 8


def test_minutes_are_short_while_what_serves_is_less_than_demand_needs() -> None:
    spec = a_spec(reactive_target_per_replica=10.0, startup_seconds=60.0)
    course = [
        Observation(now=NOON + minute * MINUTE, replicas=5, demand=demand, hpa_alone_replicas=-(-demand // 10))
        for minute, demand in enumerate([50, 50, 100, 100, 100])
    ]

    found = compare(spec, recorded(spec, course), {"minReplicas": 10})

    # Ten pods asked for at the third minute serve from the fourth on.
    assert (found.baseline.short_minutes, found.changed.short_minutes) == (1.0, 0.0)


def test_a_bound_below_what_the_hpa_alone_held_is_told() -> None:
    spec = a_spec()
    course = [an_observation(now=NOON + minute * MINUTE, hpa_alone_replicas=6) for minute in range(3)]
    inputs = recorded(spec, course)

    assert any("above maxReplicas" in note for note in compare(spec, inputs, {"maxReplicas": 4.0}).notes)
    assert compare(spec, inputs, {"maxReplicas": 7.0}).notes == ()


@pytest.mark.parametrize(
    ("highest", "overrides", "short"),
    [
        (100, {"maxReplicas": 3.0}, (0.0, 6.0)),  # demand of 300 at 10 a replica needs 30
        (3, {"maxReplicas": 30.0}, (6.0, 0.0)),
        (3, {"maxReplicas": 4.0}, (6.0, 6.0)),
    ],
)
def test_bounds_do_not_hide_the_shortage_that_they_cause(
    highest: int, overrides: dict[str, float], short: tuple[float, float]
) -> None:
    spec = a_spec(max_replicas=highest, reactive_target_per_replica=10.0, startup_seconds=0.0)
    held = min(30, highest)
    inputs = [
        Input(
            NOON + minute * MINUTE,
            300.0,
            300.0,
            None,
            held,
            True,
            Peaks(NOON + minute * MINUTE, 60, 3, (0.5, 0.95), (300.0, 300.0), (300.0, 300.0)),
            held,
        )
        for minute in range(6)
    ]

    found = compare(spec, inputs, overrides)

    assert (found.baseline.short_minutes, found.changed.short_minutes) == short


def test_a_gap_in_what_was_seen_counts_as_two_minutes_at_most() -> None:
    spec = a_spec()
    first, *_, last = a_course([100] * 60)

    found = compare(spec, recorded(spec, [first, last]), {"quantile": 0.5})

    assert found.seen_minutes == 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({}, "overrides are missing"),
        ({"replicas": 3.0}, "overrides replicas; give any of targetPerReplica"),
        ({"minReplicas": 2.5}, "minReplicas is 2.5; give a whole number"),
        ({"quantile": 1.0}, "quantile is 1.0"),
        ({"targetPerReplica": 0.0}, "target_per_replica is 0.0"),
        ({"minReplicas": 9.0, "maxReplicas": 3.0}, "replica bounds 9 to 3"),
    ],
)
def test_overrides_that_cannot_be_are_refused_in_words(overrides: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        with_overrides(a_spec(), overrides)


def test_without_inputs_there_is_nothing_to_compare() -> None:
    with pytest.raises(InputError, match="ask for a later span"):
        compare(a_spec(), [], {"quantile": 0.5})


def test_a_picture_is_thinned() -> None:
    spec = a_spec()
    found = compare(spec, recorded(spec, a_course([100] * 450)), {"quantile": 0.5})

    assert len(found.picture()) == 150
    assert found.picture()[0] == (NOON, 10, 10)  # the scale-down window has not passed
    assert found.picture()[-1][1:] == (10, 8)


@settings(max_examples=60, deadline=None)
@given(
    peaks=st.lists(st.one_of(st.none(), st.floats(0, 1000)), min_size=1, max_size=30),
    demands=st.lists(st.one_of(st.none(), st.floats(0, 1000)), min_size=30, max_size=30),
    trusted=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_decisions_made_again_on_what_was_kept_are_the_same(
    peaks: list[float | None], demands: list[float | None], trusted: list[bool]
) -> None:
    spec, course = a_spec(), list[Observation]()
    for minute, peak in enumerate(peaks):
        now = NOON + minute * MINUTE
        forecast = None if peak is None else a_forecast(peak, now=now, age_seconds=20)
        course.append(
            Observation(now=now, replicas=3, demand=demands[minute], forecast=forecast, is_trusted=trusted[minute])
        )
    inputs = recorded(spec, course)

    assert replay(spec, inputs, Memory()).decided == tuple(seen.decided for seen in inputs)
