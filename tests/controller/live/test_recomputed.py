"""The score can be recomputed from what is exported beside it: nobody has to believe a counter."""

from __future__ import annotations

import math

import pytest

from tests.controller.live.rehearsal import Rehearsal, an_answer

CYCLE_SECONDS = 15.0


def exported(one: Rehearsal, name: str) -> float | None:
    """A value of the last scrape."""
    wanted = f"forescale_controller_{name}"
    return next((value for labels, value in one.metrics.scraped if labels["__name__"] == wanted), None)


def test_counters_are_the_integrals_of_the_gauges() -> None:
    # Pods that start at once: what is asked for is Ready from the next look on, as a recording rule sees it.
    one = Rehearsal(lead={"type": "Fixed", "startupSeconds": 0})
    added = alone_short = 0.0
    counted = (0.0, 0.0)
    before: tuple[float, float] | None = None  # HPA alone, with the floor: since the last look
    begun: tuple[float, float] | None = None
    for at in range(240):
        one.demand = one.metrics.demand = 100.0 + 80.0 * math.sin(at / 20)
        one.forecasts.answer = an_answer(100.0 + 80.0 * math.sin((at + 8) / 20), one.now)
        one.pass_time(CYCLE_SECONDS)
        one.scrape()
        counted = (
            exported(one, "added_replica_seconds_total") or 0.0,
            exported(one, "hpa_underprovisioned_seconds_total") or 0.0,
        )
        if at == 40:  # the twin has settled long ago
            begun = counted
        elif at > 40 and before is not None:
            alone, ours = before
            added += max(ours - alone, 0.0) * CYCLE_SECONDS
            alone_short += (math.ceil(one.demand / 10) > alone) * CYCLE_SECONDS
        alone_now = exported(one, "hpa_alone_replicas")
        assert alone_now is not None
        before = (alone_now, max(alone_now, exported(one, "decided_floor_replicas") or 0.0))
    assert begun is not None
    assert added > 1000
    assert counted[0] - begun[0] == pytest.approx(added, rel=0.02)
    assert counted[1] - begun[1] == pytest.approx(alone_short, rel=0.02, abs=CYCLE_SECONDS)
