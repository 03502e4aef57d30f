"""When a status is written: what people wait for at once, what changes all the time by turns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from controller.live.conditions import is_worth_writing, take_over, turn_of
from controller.resource.status import AutoscalerStatus, Condition, Verdict

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
READY = Condition(type="Ready", status=Verdict.TRUE, reason="Configured", last_transition_time=NOON)
STATUS = AutoscalerStatus(conditions=[READY], floor=5, replicas=5, demand=40.0)
WRITTEN_MEANWHILE = timedelta(seconds=15)  # a cycle


def test_a_floor_is_told_at_once_and_replicas_after_half_a_minute() -> None:
    lower, fewer = STATUS.model_copy(update={"floor": 4}), STATUS.model_copy(update={"replicas": 4})

    assert is_worth_writing(STATUS, lower, NOON, NOON + timedelta(seconds=1))
    assert not is_worth_writing(STATUS, fewer, NOON, NOON + timedelta(seconds=29))
    assert is_worth_writing(STATUS, fewer, NOON, NOON + timedelta(seconds=30))


def test_a_demand_that_changes_all_the_time_is_told_once_in_five_minutes() -> None:
    written, times = NOON, []
    for cycle in range(1, 241):
        now = NOON + cycle * WRITTEN_MEANWHILE
        if is_worth_writing(STATUS, STATUS.model_copy(update={"demand": 40.0 + cycle}), written, now, turn=0.3):
            written = now
            times.append(now)

    assert len(times) == 12
    assert {after - before for before, after in pairwise(times)} == {timedelta(minutes=5)}


def test_a_thousand_resources_take_turns() -> None:
    """Also right after a restart, when all that a new controller counts is different."""
    turns = [turn_of(f"shop/w{at}") for at in range(1000)]
    taken_over = [take_over(STATUS, NOON, turn) for turn in turns]
    fewer, busier = STATUS.model_copy(update={"replicas": 4}), STATUS.model_copy(update={"demand": 41.0})

    cycles = [NOON + at * WRITTEN_MEANWHILE for at in range(24)]
    first = [
        next(at for at in cycles if is_worth_writing(STATUS, fewer, since, at, turn))
        for since, turn in zip(taken_over, turns, strict=True)
    ]
    slow = [next(at for at in cycles if is_worth_writing(STATUS, busier, NOON, at, turn)) for turn in turns]

    assert max(first.count(at) for at in cycles) < 350
    assert max(first) <= NOON + timedelta(minutes=1)
    assert sorted(slow.count(at) for at in cycles)[-2] < 120  # the first who may are more: their turn was just over


def test_a_status_that_nobody_wrote_is_written_at_once() -> None:
    since = take_over(AutoscalerStatus(), NOON, 0.9)

    assert since is None
    assert is_worth_writing(AutoscalerStatus(), AutoscalerStatus(demand=1.0), since, NOON)
