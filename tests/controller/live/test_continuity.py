"""Scores go on where the controller before left them, as Prometheus remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from controller.hpa import ControllerSettings
from controller.live.continuity import Continuity
from controller.live.demand import Rows
from controller.live.scoring import PREFIX
from controller.resource.resource import Key
from predictor.errors import SourceError

KEY = Key("shop", "agent")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LAST_WEEK, LATELY = NOON - timedelta(days=7), NOON - timedelta(seconds=20)
SETTINGS = ControllerSettings()


class Remembered:
    """A metric server with these rows, or none at all."""

    def __init__(self, rows: Rows | None) -> None:
        self.rows = rows

    def at_present(self, query: str) -> Rows:
        if self.rows is None:
            raise SourceError("it does not answer")
        return self.rows


def exported(
    *, scored: float = 3600.0, until: datetime = LATELY, since: datetime = LAST_WEEK, **labels: str
) -> list[tuple[Mapping[str, str], float]]:
    """What one process exported of one resource."""
    whose = {"namespace": "shop", "name": "agent", "instance": "10.0.0.1:8081"} | labels
    values = {
        "scored_seconds_total": scored, "surges_total": 3.0, "scored_until_timestamp_seconds": until.timestamp(),
        "scored_since_timestamp_seconds": since.timestamp(),
    }  # fmt: skip
    return [(whose | {"__name__": f"{PREFIX}_{name}"}, value) for name, value in values.items()]


def continued(*rows: tuple[Mapping[str, str], float], created_at: datetime = LAST_WEEK) -> tuple[float, float | None]:
    """Scored seconds and the instant that they count up to."""
    keeper = Continuity.read(SETTINGS, Remembered(rows)).scorekeeper(KEY, created_at, NOON)
    return keeper.counts.scored_seconds, keeper.scored_until()


def test_counters_go_on_from_the_last_scrape() -> None:
    keeper = Continuity.read(SETTINGS, Remembered(tuple(exported()))).scorekeeper(KEY, LAST_WEEK, NOON)

    assert (keeper.counts.scored_seconds, keeper.counts.surges) == (3600.0, 3.0)
    assert keeper.scored_until() == LATELY.timestamp()
    assert keeper.scored_since() == LAST_WEEK.timestamp()


def test_of_several_controllers_the_one_that_had_counted_farthest_is_believed() -> None:
    old = exported(scored=9999.0, until=LATELY - timedelta(hours=1), instance="10.0.0.2:8081")

    assert continued(*old, *exported(scored=100.0)) == (100.0, LATELY.timestamp())
    assert continued(*exported(scored=100.0), *old) == (100.0, LATELY.timestamp())


def test_a_resource_that_was_made_anew_starts_at_zero() -> None:
    assert continued(*exported(), created_at=NOON - timedelta(seconds=5)) == (0.0, None)


def test_a_clock_that_was_minutes_fast_is_waited_for_and_one_that_was_hours_fast_is_not_believed() -> None:
    ahead = NOON + timedelta(minutes=5)

    assert continued(*exported(until=ahead)) == (3600.0, ahead.timestamp())
    assert continued(*exported(until=NOON + timedelta(hours=2))) == (0.0, None)


def test_counters_without_the_instant_that_they_count_up_to_are_not_used() -> None:
    rows = [row for row in exported() if "scored_until" not in row[0]["__name__"]]

    assert continued(*rows) == (0.0, None)


def test_behind_a_service_monitor_the_resources_own_labels_count() -> None:
    rows = exported(namespace="forescale", name="pod", exported_namespace="shop", exported_name="agent")

    assert continued(*rows) == (3600.0, LATELY.timestamp())


def test_other_resources_do_not_mix() -> None:
    assert continued(*exported(name="other")) == (0.0, None)


def test_what_is_known_is_used_once() -> None:
    continuity = Continuity.read(SETTINGS, Remembered(tuple(exported())))
    continuity.scorekeeper(KEY, LAST_WEEK, NOON)

    again = continuity.scorekeeper(KEY, LAST_WEEK, NOON)

    assert again.counts.scored_seconds == 0.0


def test_without_the_metric_server_counting_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    keeper = Continuity.read(SETTINGS, Remembered(None)).scorekeeper(KEY, LAST_WEEK, NOON)

    assert keeper.counts.scored_seconds == 0.0
    assert "earlier scores cannot be read, counting begins anew: it does not answer" in caplog.text
