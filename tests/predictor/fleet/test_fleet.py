from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from predictor import messages as m
from predictor.bundle import CARD_FILE, ONNX_FILE
from predictor.errors import InputError, SourceError
from predictor.fleet import scoring
from predictor.fleet.line import OVERLAP_STEPS
from predictor.forecaster import Forecaster
from tests.builders import DAY, a_forecaster, daily_demand, some_settings
from tests.predictor.fleet.worlds import MemoryFeed, a_fleet, at, demand_of, run, view_of

NOW = 9 * DAY


def one_stream() -> MemoryFeed:
    return MemoryFeed({"web": demand_of("web")})


def test_the_first_cycle_gives_a_forecast_and_the_replay_calibrates_it(model: Path) -> None:
    fleet = a_fleet(model, one_stream())
    assert not fleet.snapshot.is_warm

    cold = fleet.cycle(at(NOW))
    assert cold.is_ready
    assert not cold.is_warm
    assert view_of(cold, "web").refusal_at(at(NOW)) is None
    assert view_of(cold, "web").trust.reason is m.TrustReason.CALIBRATING

    warm = run(fleet, [NOW + 1])
    view = view_of(warm, "web")
    assert view.calibration == m.Calibration(
        is_warm=True, outcomes=view.calibration.outcomes if view.calibration else 0
    )
    assert view.trust.state is m.TrustState.TRUSTED
    assert view.score is not None
    assert view.score.pairs > 2 * DAY


def test_later_cycles_read_only_what_is_new_once_per_query(model: Path) -> None:
    feed = MemoryFeed({"sum by (app)": demand_of("a", "b", "c")})
    fleet = a_fleet(model, feed, [{"name": "{app}", "query": "sum by (app)"}])
    run(fleet, [NOW])
    feed.reads.clear()

    run(fleet, range(NOW + 1, NOW + 6))

    assert [query for query, _, _ in feed.reads] == ["sum by (app)"] * 5
    assert all(last - first + 1 <= 1 + OVERLAP_STEPS for _, first, last in feed.reads)
    assert set(fleet.snapshot.views) == {"a", "b", "c"}


def test_workloads_may_share_a_query_by_their_labels(model: Path) -> None:
    feed = MemoryFeed({"shared": demand_of("a", "b")})
    workloads = [{"name": f"shop-{app}", "query": "shared", "select": {"app": app}} for app in ("a", "b")]

    snapshot = run(a_fleet(model, feed, workloads), [NOW, NOW + 1])

    assert {name: view.demand for name, view in snapshot.views.items()} == {
        f"shop-{app}": pytest.approx(values[NOW + 1])
        for app, values in (("a", feed.streams["shared"][0][1]), ("b", feed.streams["shared"][1][1]))
    }
    assert len([read for read in feed.reads if read[2] == NOW + 1]) == 1


def test_an_outage_holds_the_forecast_until_it_is_too_old_and_recovers_within_one_cycle(model: Path) -> None:
    feed = one_stream()
    fleet = a_fleet(model, feed)
    run(fleet, range(NOW, NOW + 3))
    feed.failing["*"] = SourceError("http://prom:9090: cannot be reached")

    soon = run(fleet, [NOW + 4])
    assert view_of(soon, "web").refusal_at(at(NOW + 4)) is None
    assert view_of(soon, "web").freshness.error == "http://prom:9090: cannot be reached"

    late = run(fleet, range(NOW + 5, NOW + 30))
    refusal = view_of(late, "web").refusal_at(at(NOW + 29))
    assert refusal is not None
    assert refusal[0] is m.Unavailable.SOURCE_FAILED

    feed.failing.clear()
    back = run(fleet, [NOW + 30])
    view = view_of(back, "web")
    assert view.refusal_at(at(NOW + 30)) is None
    assert view.issued_at == at(NOW + 30)

    steady = run(a_fleet(model, one_stream()), [NOW, *range(NOW + 1, NOW + 31)])
    expected = view_of(steady, "web").path
    assert view.path is not None
    assert expected is not None
    np.testing.assert_allclose(view.path, expected, rtol=1e-4)  # as if nothing had happened


def test_one_failing_query_does_not_keep_the_others_waiting(model: Path) -> None:
    feed = MemoryFeed({"good": demand_of("a"), "bad": demand_of("b")})
    fleet = a_fleet(model, feed)
    run(fleet, [NOW])
    feed.failing["bad"] = InputError("refuses the query")

    snapshot = run(fleet, range(NOW + 1, NOW + 12))

    assert view_of(snapshot, "good").refusal_at(at(NOW + 11)) is None
    refusal = view_of(snapshot, "bad").refusal_at(at(NOW + 11))
    assert refusal is not None
    assert "refuses the query" in refusal[1]

    feed.failing.clear()
    recovered = run(fleet, [NOW + 12])
    assert view_of(recovered, "bad").refusal_at(at(NOW + 12)) is None
    assert view_of(recovered, "bad").demand == pytest.approx(feed.streams["bad"][0][1][NOW + 12])


def test_a_query_that_fails_at_the_start_is_read_as_soon_as_it_works(model: Path) -> None:
    feed = MemoryFeed({"good": demand_of("a"), "bad": demand_of("b")})
    feed.failing["bad"] = SourceError("http://prom:9090: HTTP 503")
    fleet = a_fleet(model, feed)

    first = run(fleet, [NOW])
    assert first.is_ready  # of the other one
    refusal = view_of(first, "bad").refusal_at(at(NOW))
    assert refusal == (m.Unavailable.SOURCE_FAILED, "bad: http://prom:9090: HTTP 503")

    feed.failing.clear()
    second = run(fleet, [NOW + 1, NOW + 2])
    view = view_of(second, "bad")
    assert view.refusal_at(at(NOW + 2)) is None
    assert view.calibration is not None
    assert view.calibration.is_warm


def test_a_server_that_is_down_at_the_start_makes_nothing_up(model: Path) -> None:
    feed = one_stream()
    feed.failing["*"] = SourceError("http://prom:9090: cannot be reached")
    fleet = a_fleet(model, feed)

    snapshot = run(fleet, [NOW, NOW + 1])

    assert not snapshot.is_ready
    assert snapshot.waiting_for == "http://prom:9090: cannot be reached"
    view = view_of(snapshot, "web")
    assert view.path is None
    assert view.demand is None


def test_a_query_without_series_says_so(model: Path) -> None:
    feed = MemoryFeed({"web": demand_of("web"), "nothing": []})

    snapshot = run(a_fleet(model, feed), [NOW, NOW + 1])

    refusal = view_of(snapshot, "nothing").refusal_at(at(NOW))
    assert refusal is not None
    assert refusal[0] is m.Unavailable.NO_SERIES
    assert "gives no series" in refusal[1]


def test_several_series_for_one_name_are_not_added_up_silently(model: Path) -> None:
    feed = MemoryFeed({"web": demand_of("a", "b")})

    snapshot = run(a_fleet(model, feed), [NOW])

    refusal = view_of(snapshot, "web").refusal_at(at(NOW))
    assert refusal is not None
    assert "gives 2 series" in refusal[1]
    assert "sum(...)" in refusal[1]


def test_a_series_that_appears_becomes_a_workload_and_waits_for_history(model: Path) -> None:
    feed = MemoryFeed({"q": demand_of("old")})
    fleet = a_fleet(model, feed, [{"name": "{app}", "query": "q"}])
    run(fleet, [NOW])
    late = daily_demand(10 * DAY, seed=9)
    late[: NOW + 5] = np.nan
    feed.streams["q"].append(({"app": "new"}, late))

    young = run(fleet, range(NOW + 1, NOW + 20))
    refusal = view_of(young, "new").refusal_at(at(NOW + 19))
    assert refusal is not None
    assert refusal[0] is m.Unavailable.TOO_SHORT

    grown = run(fleet, range(NOW + 20, NOW + 110))
    assert view_of(grown, "new").refusal_at(at(NOW + 109)) is None
    assert view_of(grown, "old").refusal_at(at(NOW + 109)) is None


def test_series_that_cannot_be_names_are_told_not_dropped(model: Path) -> None:
    feed = MemoryFeed({"q": [({"app": "a/b"}, daily_demand(10 * DAY)), ({"app": "fine"}, daily_demand(10 * DAY))]})

    snapshot = run(a_fleet(model, feed, [{"name": "{app}", "query": "q"}]), [NOW])

    assert set(snapshot.views) == {"fine"}
    assert any("a/b" in note for note in snapshot.notes)


def test_more_series_than_allowed_are_told_not_served(model: Path) -> None:
    feed = MemoryFeed({"q": demand_of(*"abcde")})

    snapshot = run(a_fleet(model, feed, [{"name": "{app}", "query": "q"}], max_workloads=3), [NOW])

    assert len(snapshot.views) == 3
    assert any("max_workloads" in note for note in snapshot.notes)


def test_a_restart_loses_nothing_but_a_little_of_the_oldest_calibration(model: Path) -> None:
    running = run(a_fleet(model, one_stream()), [NOW - 60, *range(NOW - 59, NOW + 1)])
    restarted = run(a_fleet(model, one_stream()), [NOW - 1, NOW])

    one, other = view_of(running, "web"), view_of(restarted, "web")
    assert one.path is not None
    assert other.path is not None
    assert np.median(np.abs(other.path / one.path - 1)) < 0.02
    assert one.score is not None
    assert other.score is not None
    assert other.score.pairs == pytest.approx(one.score.pairs, rel=0.05)
    assert other.score.wape == pytest.approx(one.score.wape, rel=0.05)


def test_a_forecast_that_is_never_renewed_expires(model: Path) -> None:
    view = view_of(run(a_fleet(model, one_stream()), [NOW]), "web")

    assert view.expires_at is not None
    assert view.refusal_at(view.expires_at - timedelta(seconds=1)) is None
    refusal = view.refusal_at(view.expires_at)
    assert refusal is not None
    assert refusal[0] is m.Unavailable.STALE


def test_a_new_bundle_takes_over_when_it_is_calibrated_and_leaves_no_gap(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(model, place)
    fleet = a_fleet(place, one_stream())
    run(fleet, [NOW, NOW + 1])
    old = view_of(fleet.snapshot, "web").model
    a_forecaster(place, settings=some_settings(seed=7))

    found = fleet.look_for_models(at(NOW + 1), force=True)
    assert found.changed == ["model"]
    meanwhile = fleet.cycle(at(NOW + 2))
    assert view_of(meanwhile, "web").model == old
    assert view_of(meanwhile, "web").refusal_at(at(NOW + 2)) is None
    assert meanwhile.models[0].is_warming

    after = run(fleet, [NOW + 3, NOW + 4])
    view = view_of(after, "web")
    assert view.model is not None
    assert view.model.hash == Forecaster.load(place).bundle.content_hash
    assert view.calibration is not None
    assert view.calibration.is_warm
    assert not after.models[0].is_warming
    assert view.score is not None
    assert view.score.pairs > 2 * DAY


def test_a_damaged_bundle_is_refused_and_the_old_one_goes_on(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(model, place)
    fleet = a_fleet(place, one_stream())
    run(fleet, [NOW])
    (place / ONNX_FILE).write_bytes(b"not a network")
    (place / CARD_FILE).touch()

    found = fleet.look_for_models(at(NOW + 1), force=True)

    assert found.refused == ["model"]
    snapshot = run(fleet, [NOW + 1])
    assert view_of(snapshot, "web").refusal_at(at(NOW + 1)) is None
    assert snapshot.models[0].message is not None
    assert "truncated or from another model" in snapshot.models[0].message
    assert str(tmp_path) not in snapshot.models[0].message


def test_a_missing_bundle_is_told_and_taken_up_when_it_comes(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    fleet = a_fleet(place, one_stream())

    first = run(fleet, [NOW])
    refusal = view_of(first, "web").refusal_at(at(NOW))
    assert not first.is_ready
    assert refusal is not None
    assert refusal[0] is m.Unavailable.MODEL_REFUSED

    shutil.copytree(model, place)
    second = run(fleet, [NOW + 6, NOW + 7])
    assert view_of(second, "web").refusal_at(at(NOW + 7)) is None


def test_a_step_that_is_not_the_models_is_refused(model: Path) -> None:
    fleet = a_fleet(model, one_stream(), [{"name": "web", "query": "web", "step_seconds": 30}])

    refusal = view_of(run(fleet, [NOW]), "web").refusal_at(at(NOW))

    assert refusal is not None
    assert refusal[0] is m.Unavailable.WRONG_STEP


def test_observed_replicas_stand_beside_the_recommended_ones(model: Path) -> None:
    feed = MemoryFeed({"web": demand_of("web"), "pods": [({}, np.full(10 * DAY, 4.0))]})
    fleet = a_fleet(model, feed, [{"name": "web", "query": "web", "replicas_query": "pods", "target_per_replica": 25}])
    snapshot = run(fleet, range(NOW, NOW + 4))
    subject = fleet.subjects()["web"]
    steps = range(subject.track.step - 9, subject.track.step + 1)

    history = scoring.history(subject, steps[0], steps[-1], fleet.observed_replicas(fleet.workloads["web"], 1, steps))

    assert view_of(snapshot, "web").replicas == 4.0
    assert history.replicas is not None
    assert history.replicas.observed == [4.0] * 10
    assert all(value is not None and value >= 1 for value in history.replicas.recommended)


def test_what_had_been_forecast_stands_beside_what_came(model: Path) -> None:
    feed = one_stream()
    fleet = a_fleet(model, feed)
    run(fleet, [NOW])
    issued = {}
    for step in range(NOW + 1, NOW + 12):
        path = view_of(run(fleet, [step]), "web").path
        assert path is not None
        issued[step] = float(path[-1, 1])
    subject = fleet.subjects()["web"]
    last = subject.track.step

    history = scoring.history(subject, last - 3, last)

    values = feed.streams["web"][0][1]
    assert history.demand == [pytest.approx(values[step]) for step in range(NOW + 8, NOW + 12)]
    median = history.forecasts.path[1]
    assert median == [pytest.approx(issued[step - 5], rel=1e-4) for step in range(NOW + 8, NOW + 12)]
