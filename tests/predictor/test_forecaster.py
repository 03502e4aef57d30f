from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from predictor.errors import InputError
from predictor.forecast import Forecast
from predictor.forecaster import STALE_AFTER_STEPS, Forecaster, History, NoForecast, Refusal
from tests.builders import DAY, HORIZON, a_forecaster, a_history, a_series, daily_demand, learn_with_extras


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> Forecaster:
    return a_forecaster(tmp_path_factory.mktemp("model") / "model")


def reason(answer: Forecast | Refusal) -> NoForecast:
    assert isinstance(answer, Refusal)
    return answer.reason


def test_a_forecast_gives_ordered_quantiles_in_the_series_own_unit(forecaster: Forecaster) -> None:
    history = a_history()

    forecast = forecaster.forecast(history)

    assert isinstance(forecast, Forecast)
    assert forecast.path.shape == forecast.peak.shape == (HORIZON, 3)
    assert (np.diff(forecast.path, axis=1) >= 0).all()
    assert forecast.issued_at == history.series.end
    assert forecast.instants()[0] == history.series.end + timedelta(seconds=1)
    assert 0.2 < forecast.path[0, 1] / history.series.values[-20:].mean() < 5


def test_a_forecast_is_the_last_row_of_a_replay(forecaster: Forecaster) -> None:
    history = a_history()
    last = len(history.series) - 1

    forecast = forecaster.forecast(history)
    replay = forecaster.replay(history, last - 3 * DAY, last + 1)

    assert isinstance(forecast, Forecast)
    np.testing.assert_allclose(forecast.path, replay.calibrated.path[-1], rtol=1e-6)


def test_the_future_changes_no_forecast(forecaster: Forecaster) -> None:
    values = daily_demand(8 * DAY)
    changed = values.copy()
    changed[7 * DAY :] = 9999.0

    one = forecaster.replay(a_history(values), 6 * DAY, 7 * DAY + 50)
    other = forecaster.replay(a_history(changed), 6 * DAY, 7 * DAY + 50)

    known = slice(0, DAY)  # origins before the change
    assert (one.calibrated.path[known] == other.calibrated.path[known]).all()
    assert (one.raw.peak[known] == other.raw.peak[known]).all()
    assert not (one.calibrated.path[DAY:] == other.calibrated.path[DAY:]).all()


def test_many_workloads_in_one_call_get_what_each_gets_alone(forecaster: Forecaster) -> None:
    histories = [a_history(daily_demand(8 * DAY, level=10.0 * (k + 1), seed=k), name=f"w{k}") for k in range(5)]

    _, together = forecaster.network_quantiles(histories)

    for row, history in enumerate(histories):
        _, alone = forecaster.network_quantiles([history])
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-4)


def test_stale_data_is_refused_whether_it_ends_in_a_gap_or_ended_long_ago(forecaster: Forecaster) -> None:
    gone = daily_demand(8 * DAY)
    gone[-STALE_AFTER_STEPS - 1 :] = np.nan
    late = a_history().series.end + timedelta(seconds=STALE_AFTER_STEPS + 1)

    assert reason(forecaster.forecast(a_history(gone))) is NoForecast.STALE
    assert reason(forecaster.forecast(a_history(), now=late)) is NoForecast.STALE
    assert isinstance(forecaster.forecast(a_history(), now=late - timedelta(seconds=1)), Forecast)


def test_gappy_data_is_refused_with_the_share_that_is_missing(forecaster: Forecaster) -> None:
    values = daily_demand(8 * DAY)
    values[-50:-2] = np.nan

    answer = forecaster.forecast(a_history(values))

    assert reason(answer) is NoForecast.GAPPY
    assert isinstance(answer, Refusal)
    assert "75% of the last 64 samples missing" in answer.message


def test_too_short_a_history_and_another_step_are_refused(forecaster: Forecaster) -> None:
    assert reason(forecaster.forecast(a_history(daily_demand(20)))) is NoForecast.TOO_SHORT
    assert reason(forecaster.forecast(History(a_series(step_seconds=60)))) is NoForecast.WRONG_STEP


def test_a_short_gap_is_bridged(forecaster: Forecaster) -> None:
    values = daily_demand(8 * DAY)
    values[-3:] = np.nan

    assert isinstance(forecaster.forecast(a_history(values)), Forecast)


def test_origins_outside_the_history_are_an_error(forecaster: Forecaster) -> None:
    with pytest.raises(InputError, match="outside"):
        forecaster.replay(a_history(), 10, 10**6)


def test_a_model_with_leading_indicators_and_events_uses_them(tmp_path: Path) -> None:
    forecaster, history = learn_with_extras(tmp_path / "model")

    with_event = forecaster.forecast(history)
    assert history.events is not None
    quiet = History(history.series, history.covariates, np.zeros_like(history.events))
    without = forecaster.forecast(quiet)

    assert isinstance(with_event, Forecast)
    assert isinstance(without, Forecast)
    assert not np.allclose(with_event.path, without.path)
