from __future__ import annotations

import numpy as np
import pytest

from predictor import scores
from predictor.fleet.cohort import Cohort, Depth, Member
from predictor.fleet.table import DemandTable
from predictor.forecast import Forecast
from predictor.forecaster import Forecaster, History
from predictor.series import FloatArray
from tests.builders import DAY, a_history, a_series, daily_demand
from tests.predictor.fleet.worlds import FIRST

STEPS = 9 * DAY


def a_cohort(forecaster: Forecaster, *streams: FloatArray, until: int = STEPS) -> Cohort:
    """Workloads whose history ends with sample `until - 1`; nothing forecast yet."""
    table = DemandTable(len(streams), Depth.of(forecaster).replay, FIRST + until - 1)
    for row, values in enumerate(streams):
        table.write(row, FIRST, values[:until])
    members = [Member(f"w{row}", "web", 0.3) for row in range(len(streams))]
    cohort = Cohort.of(forecaster, members, table)
    cohort.start()
    return cohort


def warmed(cohort: Cohort) -> Cohort:
    cohort.catch_up()
    cohort.begin_replay()
    while not cohort.warm():
        pass
    return cohort


def go_on(cohort: Cohort, streams: list[FloatArray], until: int) -> None:
    cohort.table.move_to(FIRST + until - 1)
    for row, values in enumerate(streams):
        cohort.table.write(row, FIRST, values[:until])


def expected(forecaster: Forecaster, values: FloatArray) -> Forecast:
    found = forecaster.forecast(History(a_series(values)))
    assert isinstance(found, Forecast)
    return found


def test_a_warm_cohort_forecasts_what_a_single_workload_would(forecaster: Forecaster) -> None:
    streams = [daily_demand(STEPS, seed=seed) for seed in range(3)]

    cohort = warmed(a_cohort(forecaster, *streams))

    # The last forecast was issued before the replay; the next one is of the calibrated state.
    go_on(cohort, [*(np.append(one, 100.0) for one in streams)], STEPS + 1)
    issued = cohort.catch_up()
    assert issued is not None
    for row, values in enumerate(streams):
        longer = History(a_series(np.append(values, 100.0)))
        first = STEPS - 1 - 3 * DAY + 1
        replay = forecaster.replay(longer, first, STEPS + 1)
        np.testing.assert_allclose(issued.path[row], replay.calibrated.path[-1], rtol=2e-4)
        np.testing.assert_allclose(issued.peak[row], replay.calibrated.peak[-1], rtol=2e-4)


def test_a_cold_cohort_forecasts_at_once_what_the_network_says(forecaster: Forecaster) -> None:
    values = daily_demand(STEPS)
    cohort = a_cohort(forecaster, values)

    issued = cohort.catch_up()

    _, demand = forecaster.network_quantiles([a_history(values)])
    assert issued is not None
    np.testing.assert_allclose(issued.path[0], demand[0, 0], rtol=1e-3)
    assert not cohort.is_warm


def test_an_outage_that_is_over_leaves_no_trace(forecaster: Forecaster) -> None:
    streams = [daily_demand(STEPS, seed=seed) for seed in range(2)]
    steady = warmed(a_cohort(forecaster, *streams, until=8 * DAY))
    cut_off = warmed(a_cohort(forecaster, *streams, until=8 * DAY))

    for until in range(8 * DAY + 1, 8 * DAY + 41):
        go_on(steady, streams, until)
        steady.catch_up()
    go_on(cut_off, streams, 8 * DAY + 40)
    cut_off.catch_up()

    assert steady.live is not None
    assert cut_off.live is not None
    np.testing.assert_allclose(steady.live.state.offset, cut_off.live.state.offset, atol=1e-6)
    one, other = steady.live.ledger.sums(0, DAY), cut_off.live.ledger.sums(0, DAY)
    np.testing.assert_allclose(one.absolute, other.absolute, rtol=1e-4)
    assert (one.live_origins, other.live_origins) == (40, 1)
    assert one.origins == other.origins


def test_scores_are_those_of_the_forecasts_that_were_issued(forecaster: Forecaster) -> None:
    values = daily_demand(STEPS, seed=4)
    values[8 * DAY + 20 : 8 * DAY + 24] = np.nan
    cohort = warmed(a_cohort(forecaster, values))
    assert cohort.live is not None

    sums = cohort.live.ledger.sums(0, 3 * DAY)

    first = STEPS - 3 * DAY
    replay = forecaster.replay(History(a_series(values)), first, STEPS)
    known = replay.calibrated.origins
    path, peak = scores.actual_paths(values, known, forecaster.horizon)
    for h in range(1, forecaster.horizon + 1):
        error = scores.point_error(path[:, h - 1], replay.calibrated.median()[:, h - 1])
        assert error.wape is not None
        assert sums.pairs[h - 1] == error.pairs
        assert sums.absolute[h - 1] / sums.actual[h - 1] == pytest.approx(error.wape, rel=1e-4)
    for head, actual, quantiles in ((0, path, replay.calibrated.path), (1, peak, replay.calibrated.peak)):
        for position in range(3):
            count = scores.coverage(actual[:, -1], quantiles[:, -1, position])
            assert sums.covered_pairs[head] == count.pairs
            assert (
                abs(sums.covered[head, position] - count.covered) <= 1
            )  # a tie may fall either way in single precision


def test_what_was_not_observed_is_never_scored_as_zero(forecaster: Forecaster) -> None:
    values = daily_demand(STEPS)
    values[-30:] = np.nan
    cohort = warmed(a_cohort(forecaster, values))
    assert cohort.issued is not None
    assert cohort.live is not None

    before = cohort.live.ledger.sums(0, 3 * DAY)
    go_on(cohort, [np.append(values, np.nan)], STEPS + 1)
    issued = cohort.catch_up()

    assert issued is not None
    assert issued.refusals[0] is not None
    assert cohort.live.ledger.sums(0, 3 * DAY).pairs.sum() <= before.pairs.sum()


def test_a_workload_that_appears_later_leaves_the_others_as_they_are(forecaster: Forecaster) -> None:
    streams = [daily_demand(STEPS, seed=seed) for seed in range(2)]
    alone = warmed(a_cohort(forecaster, *streams[:1], until=8 * DAY))
    grown = warmed(a_cohort(forecaster, *streams[:1], until=8 * DAY))

    grown.table.add_rows(1)
    grown.add([Member("late", "late", 0.3)])
    for until in range(8 * DAY + 1, 8 * DAY + 100):
        go_on(alone, streams[:1], until)
        go_on(grown, [streams[0], np.where(np.arange(STEPS) < 8 * DAY, np.nan, streams[1])], until)
        alone.catch_up()
        grown.catch_up()

    assert alone.issued is not None
    assert grown.issued is not None
    np.testing.assert_allclose(grown.issued.path[0], alone.issued.path[0], rtol=1e-5)
    assert grown.issued.refusals == (None, None)  # by now it has history enough
    assert np.isfinite(grown.issued.path[1]).all()
    assert 20 < grown.issued.path[1, 0, 1] < 400


def test_a_workload_that_goes_leaves_the_others_as_they_are(forecaster: Forecaster) -> None:
    streams = [daily_demand(STEPS, seed=seed) for seed in range(3)]
    whole = warmed(a_cohort(forecaster, *streams, until=8 * DAY))
    left = warmed(a_cohort(forecaster, *streams, until=8 * DAY))

    left.keep(np.array([0, 2]))
    for until in range(8 * DAY + 1, 8 * DAY + 10):
        go_on(whole, streams, until)
        go_on(left, [streams[0], streams[2]], until)
        whole.catch_up()
        left.catch_up()

    assert whole.issued is not None
    assert left.issued is not None
    np.testing.assert_allclose(left.issued.path, whole.issued.path[[0, 2]], rtol=1e-5)
