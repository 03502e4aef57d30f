"""What must hold of any HPA, whatever it sees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.hpa import (
    Behavior,
    ControllerSettings,
    Failed,
    HpaMemory,
    HpaSpec,
    MetricSpec,
    PolicyType,
    ScalingPolicy,
    ScalingRules,
    Seen,
    SelectPolicy,
    Source,
    TargetType,
    Values,
    reconcile,
)
from controller.hpa.normalize import Recommendations, ScaleEvents, normalize_plainly, normalize_with_behavior

policies = st.builds(ScalingPolicy, st.sampled_from(PolicyType), st.integers(1, 200), st.sampled_from((15, 60, 600)))
rules = st.builds(
    ScalingRules,
    st.lists(policies, min_size=1, max_size=3).map(tuple),
    st.sampled_from(SelectPolicy),
    st.none() | st.sampled_from((0, 30, 300)),
    st.none() | st.sampled_from((0.0, 0.05, 0.5)),
)
metrics = st.builds(
    MetricSpec,
    st.sampled_from((Source.EXTERNAL, Source.OBJECT)),
    st.just(TargetType.AVERAGE_VALUE),
    st.integers(1, 5000),
)

moves = st.lists(st.tuples(st.sampled_from((0, 7, 15, 30)), st.integers(0, 9), st.integers(0, 9)), max_size=15)


@st.composite
def specs(draw: st.DrawFn) -> HpaSpec:
    lowest = draw(st.integers(0, 20))
    highest = draw(st.integers(max(lowest, 1), 60))
    some_metrics = draw(st.lists(metrics, min_size=1, max_size=3).map(tuple))
    return HpaSpec(lowest, highest, some_metrics, draw(st.none() | st.builds(Behavior, rules, rules)))


@st.composite
def runs(draw: st.DrawFn) -> tuple[HpaSpec, tuple[Seen, ...]]:
    """An HPA and what it sees; the replicas are at times changed by others, and the bounds move."""
    spec = draw(specs())
    readings = st.one_of(st.just(Failed()), st.builds(Values, st.tuples(st.integers(-10, 200_000))))
    looks, now = [], 0.0
    for _ in range(draw(st.integers(1, 8))):
        now += draw(st.sampled_from((0, 15, 15, 15, 45, 400)))
        lowest = draw(st.none() | st.integers(0, 20))
        highest = draw(st.none() if lowest is None else st.integers(max(lowest, 1), 60))
        replicas = draw(st.integers(0, 70))
        seen_readings = tuple(draw(readings) for _ in spec.metrics)
        looks.append(Seen(now, replicas, replicas, lowest, highest, (), seen_readings))
    return spec, tuple(looks)


def bounds_of(spec: HpaSpec, seen: Seen) -> tuple[int, int]:
    return (
        spec.min_replicas if seen.min_replicas is None else seen.min_replicas,
        spec.max_replicas if seen.max_replicas is None else seen.max_replicas,
    )


@given(runs())
def test_what_is_set_lies_within_the_bounds(run: tuple[HpaSpec, tuple[Seen, ...]]) -> None:
    spec, looks = run
    memory = HpaMemory()
    for seen in looks:
        outcome, memory = reconcile(spec, ControllerSettings(), seen, memory)
        lowest, highest = bounds_of(spec, seen)
        assert outcome.scaled_to is None or lowest <= outcome.scaled_to <= highest
        if seen.spec_replicas > 0 and outcome.error is None:
            assert lowest <= outcome.desired <= highest


@given(runs())
def test_the_same_looks_give_the_same_decisions_and_leave_the_past_alone(
    run: tuple[HpaSpec, tuple[Seen, ...]],
) -> None:
    spec, looks = run
    memories = [HpaMemory()]
    outcomes = []
    for seen in looks:
        outcome, memory = reconcile(spec, ControllerSettings(), seen, memories[-1])
        outcomes.append(outcome)
        memories.append(memory)

    again = [reconcile(spec, ControllerSettings(), seen, memory) for seen, memory in zip(looks, memories, strict=False)]

    assert again == list(zip(outcomes, memories[1:], strict=True))


@given(runs())
def test_scaled_means_changed_and_desired_is_what_was_set(run: tuple[HpaSpec, tuple[Seen, ...]]) -> None:
    spec, looks = run
    memory = HpaMemory()
    for seen in looks:
        before = memory
        outcome, memory = reconcile(spec, ControllerSettings(), seen, memory)
        assert outcome.scaled_to != seen.spec_replicas
        if outcome.scaled_to is not None:
            assert outcome.desired == outcome.scaled_to == memory.desired
        else:
            assert outcome.desired in (seen.spec_replicas, before.desired)


@given(runs(), st.booleans())
def test_a_disabled_direction_is_not_taken_within_the_bounds(
    run: tuple[HpaSpec, tuple[Seen, ...]], is_up: bool
) -> None:
    spec, looks = run
    frozen = ScalingRules((ScalingPolicy(PolicyType.PODS, 1, 15),), SelectPolicy.DISABLED)
    behavior = Behavior(scale_up=frozen) if is_up else Behavior(scale_down=frozen)
    spec, memory = HpaSpec(spec.min_replicas, spec.max_replicas, spec.metrics, behavior), HpaMemory()
    for seen in looks:
        outcome, memory = reconcile(spec, ControllerSettings(), seen, memory)
        lowest, highest = bounds_of(spec, seen)
        if outcome.scaled_to is not None and max(lowest, 1) <= seen.spec_replicas <= highest:
            assert (outcome.scaled_to < seen.spec_replicas) is is_up


@given(moves, st.sampled_from((0, 15, 60)))
def test_without_behavior_what_is_remembered_answers_as_if_all_were(
    looks: list[tuple[int, int, int]], window: int
) -> None:
    settings = ControllerSettings(downscale_stabilization_seconds=window)
    known, now = Recommendations(), 0
    everything: list[tuple[int, int]] = []
    for waited, current, desired in looks:
        now += waited
        everything.append((now, desired))
        normalized = normalize_plainly(settings, known, now, current, desired, (0, 1000))
        known = normalized.recommendations

        highest = max(count for at, count in everything if at >= now - window)
        assert normalized.replicas == min(highest, max(2 * current, 4))


@given(moves, st.sampled_from((0, 15, 60)), st.sampled_from((0, 15, 60)))
def test_with_behavior_what_is_remembered_answers_as_if_all_were(
    looks: list[tuple[int, int, int]], up_window: int, down_window: int
) -> None:
    at_once = ScalingPolicy(PolicyType.PODS, 1000, 15)
    behavior = Behavior(
        ScalingRules((at_once,), stabilization_window_seconds=up_window),
        ScalingRules((at_once,), stabilization_window_seconds=down_window),
    )
    known, now = Recommendations(), 0
    everything: list[tuple[int, int]] = []
    for waited, current, desired in looks:
        now += waited
        normalized = normalize_with_behavior(
            behavior, ControllerSettings(), known, ScaleEvents(), now, current, desired, (0, 1000)
        )
        known = normalized.recommendations

        lowest = min([desired, *(count for at, count in everything if at > now - up_window)])
        highest = max([desired, *(count for at, count in everything if at > now - down_window)])
        everything.append((now, desired))
        assert normalized.replicas == min(max(current, lowest), highest)
