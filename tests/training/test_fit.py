from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from predictor.errors import InputError, SeriesError
from predictor.features import FeatureSchema
from tests.builders import DAY, HORIZON, a_series, daily_demand, some_settings
from training.dataset import Example, make_example, usable_seasons
from training.fit import FitSettings, Progress, choose_device, fit
from training.loss import pinball_loss
from training.network import NetworkShape, QuantileLSTM

SCHEMA = FeatureSchema(season_steps=(DAY,), horizon=HORIZON)


@pytest.fixture(scope="module")
def example() -> Example:
    return make_example(SCHEMA, a_series(daily_demand(6 * DAY)), validation_ratio=0.2)


def settings(**changes: object) -> FitSettings:
    return replace(some_settings(updates=40).fit, levels=(0.1, 0.5, 0.9), **changes)  # type: ignore[arg-type]


def weights(network: QuantileLSTM) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_pinball_loss_is_what_it_is_by_hand() -> None:
    quantiles = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 1, 2)
    levels = torch.tensor([0.5, 0.9])
    weight = torch.ones(1, 1)

    loss = pinball_loss(quantiles, torch.full((1, 1, 1, 1), 2.0), weight, levels)

    assert float(loss) == pytest.approx(0.5 * 1.0 + 0.1 * 1.0)


def test_a_missing_outcome_counts_nothing_in_the_loss() -> None:
    quantiles = torch.zeros(1, 2, 1, 1, 1)
    target = torch.tensor([1.0, math.nan]).reshape(1, 2, 1, 1)
    levels = torch.tensor([0.5])

    loss = pinball_loss(quantiles, target, torch.ones(1, 2), levels)

    assert float(loss) == pytest.approx(0.5)


def test_the_default_network_has_between_60_and_100_thousand_parameters_and_does_not_cross() -> None:
    torch.manual_seed(0)
    network = QuantileLSTM(NetworkShape(24, 63, 7, 15, (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.998))).eval()

    quantiles = network(torch.randn(3, 64, 24), torch.randn(3, 63), torch.randn(3, 15, 7))

    assert 60_000 <= sum(p.numel() for p in network.parameters()) <= 100_000
    assert quantiles.shape == (3, 2, 15, 9)
    assert (quantiles.diff(dim=-1) >= 0).all()


def test_every_step_of_a_long_sequence_is_forecast_as_if_it_were_the_last() -> None:
    torch.manual_seed(0)
    network = QuantileLSTM(NetworkShape(4, 5, 2, 3, (0.5,), units=8, width=8, ahead_width=8)).eval()
    steps, origin, ahead = torch.randn(1, 20, 4), torch.randn(1, 20, 5), torch.randn(1, 20, 3, 2)

    whole = network.forward_all(steps, origin, ahead, warm=10)

    alone = network(steps[:, :16], origin[:, 15], ahead[:, 15])
    torch.testing.assert_close(whole[:, 5], alone)


def test_targets_are_log_relative_and_missing_where_demand_was_not_observed() -> None:
    values = daily_demand(6 * DAY)
    values[500] = np.nan
    example = make_example(SCHEMA, a_series(values), validation_ratio=0.2)

    demand = np.exp(example.target[400, 0] + example.log_level[400]) - example.offset

    np.testing.assert_allclose(demand, values[401 : 401 + HORIZON], rtol=1e-4)
    assert np.isnan(example.target[499, 0, 0])
    assert np.isnan(example.target[497, 1, 2:]).all()  # a maximum over the gap is not known
    assert np.isfinite(example.target[497, 1, :2]).all()


def test_a_series_too_short_to_learn_from_says_how_much_is_needed() -> None:
    with pytest.raises(SeriesError, match="give at least"):
        make_example(SCHEMA, a_series(daily_demand(120)), validation_ratio=0.2)


def test_a_season_counts_when_it_was_seen_twice() -> None:
    assert usable_seasons((1440, 10080), 20159) == (1440,)
    assert usable_seasons((10080, 1440), 20160) == (1440, 10080)


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(example: Example) -> None:
    one, same = fit([example], settings()), fit([example], settings())
    other = fit([example], settings(seed=1))

    assert torch.equal(weights(one.network), weights(same.network))
    assert not torch.equal(weights(one.network), weights(other.network))


def test_training_lowers_the_validation_loss_and_reports_skill(example: Example) -> None:
    seen: list[Progress] = []

    result = fit([example], settings(updates=80), on_progress=seen.append)

    assert [p.update for p in seen] == [20, 40, 60, 80]
    assert seen[-1].best_validation_loss < seen[0].validation_loss
    assert seen[-1].skill > seen[0].skill
    assert result.best_update in {p.update for p in seen}


def test_one_model_learns_from_many_series(example: Example) -> None:
    other = make_example(SCHEMA, a_series(daily_demand(4 * DAY, level=5.0), name="small"), validation_ratio=0.2)

    result = fit([example, other], settings(updates=20))

    assert result.updates == 20


def test_training_stops_when_it_no_longer_helps(example: Example) -> None:
    result = fit([example], settings(updates=2000, check_every=1, patience=2, learning_rate=0.3))

    assert result.updates < 2000


def test_an_interruption_keeps_the_best_and_resuming_ends_where_an_undisturbed_run_ends(
    example: Example, tmp_path: Path
) -> None:
    undisturbed = fit([example], settings())

    half = fit([example], settings(), checkpoint=tmp_path / "c", on_progress=interrupt)
    resumed = fit([example], settings(), checkpoint=tmp_path / "c", resume=True)

    assert half.interrupted
    assert half.updates == 20
    assert torch.equal(weights(resumed.network), weights(undisturbed.network))


def interrupt(progress: Progress) -> None:
    """Ctrl-C at the first look at the validation span."""
    raise KeyboardInterrupt


def test_a_checkpoint_of_other_settings_or_a_damaged_one_is_refused(example: Example, tmp_path: Path) -> None:
    fit([example], settings(), checkpoint=tmp_path / "c")

    with pytest.raises(InputError, match="other settings"):
        fit([example], settings(seed=3), checkpoint=tmp_path / "c", resume=True)
    (tmp_path / "c").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        fit([example], settings(), checkpoint=tmp_path / "c", resume=True)
    with pytest.raises(InputError, match="no checkpoint"):
        fit([example], settings(), checkpoint=tmp_path / "none", resume=True)


def test_a_device_that_is_not_there_is_refused() -> None:
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="--device abacus"):
        choose_device("abacus")
