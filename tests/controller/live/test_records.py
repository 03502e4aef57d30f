"""Decision records are packed, bounded, and found again by their instant."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta

from controller.live.records import DecisionBook, DecisionRecord, StepRecord
from controller.resource.resource import Key

AGENT = Key("shop", "agent")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_record(minute: int) -> DecisionRecord:
    return DecisionRecord(
        resource=str(AGENT),
        at=NOON + timedelta(minutes=minute),
        reason="ForecastDemand",
        floor=minute % 20,
        decided=minute % 20,
        acts=True,
        has_opinion=True,
        is_trusted=True,
        demand=100.5 + minute,
        recent_peak_demand=200.25 + minute,
        hpa_alone_replicas=3,
        replicas=5,
        forecast_issued_at=NOON + timedelta(minutes=minute),
        model="dd21556fc1f3",
        lead_seconds=62.5,
        level=0.95,
        planned_demand=210.5 + minute,
        target_per_replica=10.0,
        steps=[
            StepRecord(rule="plan_capacity", before=None, after=minute % 20, reason="ForecastDemand"),
            StepRecord(rule="stay_within_bounds", before=minute % 20, after=3, reason="AtMinimum"),
        ],
    )


def a_book(minutes: int) -> DecisionBook:
    book = DecisionBook()
    for minute in range(minutes):
        book.add(AGENT, a_record(minute))
    return book


def test_a_record_comes_back_as_it_was_from_the_open_page_and_from_packed_ones() -> None:
    book = a_book(110)

    for minute in (0, 24, 25, 60, 99, 100, 109):
        between = NOON + timedelta(minutes=minute, seconds=30)
        assert book.at(AGENT, between) == a_record(minute)
    assert book.at(AGENT) == a_record(109)
    assert book.at(AGENT, NOON - timedelta(seconds=1)) is None


def test_the_newest_record_is_there_right_after_a_page_was_packed() -> None:
    book = a_book(25)

    assert book.at(AGENT) == a_record(24)


def test_only_the_last_400_are_kept() -> None:
    book = a_book(2000)

    assert book.at(AGENT, NOON + timedelta(minutes=1600)) == a_record(1600)
    assert book.at(AGENT, NOON + timedelta(minutes=1500)) is None


def test_a_decision_is_kept_when_it_differs_or_after_five_minutes() -> None:
    book, last = a_book(51), a_record(50)

    assert not book.is_due(AGENT, last.floor, last.reason, last.at + timedelta(minutes=4))
    assert book.is_due(AGENT, last.floor, last.reason, last.at + timedelta(minutes=5))
    assert book.is_due(AGENT, None, last.reason, last.at)
    assert book.is_due(AGENT, last.floor, "Held", last.at)
    assert book.is_due(Key("shop", "other"), last.floor, last.reason, last.at)


def test_what_is_gone_is_forgotten() -> None:
    book = a_book(60)

    book.forget({AGENT})

    assert book.at(AGENT) is None


def test_a_full_book_takes_less_than_60_kilobytes() -> None:
    """A thousand of them fit beside everything else."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        book = a_book(424)
        size = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert book.at(AGENT) == a_record(423)
    assert size < 60_000, size
