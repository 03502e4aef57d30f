from __future__ import annotations

import io

import numpy as np
import pytest

from predictor.errors import InputError
from predictor.online import NETWORK, OnlineSettings, OnlineState, initial_state, issue, learn, weights
from predictor.series import FloatArray

LEVELS = (0.1, 0.5, 0.9)
HORIZON = 3
SETTINGS = OnlineSettings(levels=LEVELS, horizon=HORIZON, memory_steps=300)


def run(outcomes: FloatArray, experts: FloatArray) -> tuple[FloatArray, OnlineState]:
    """Feed outcomes (time,) to constant expert quantiles (expert, level); returns (time, head, horizon, level)."""
    given = np.broadcast_to(experts[None, :, None, None, :], (1, len(experts), 2, HORIZON, len(LEVELS)))
    state, issued = initial_state(SETTINGS, len(experts)), []
    for value in outcomes:
        learn(SETTINGS, state, np.array([value]))
        final = issue(SETTINGS, state, given, np.zeros(1))
        issued.append(final[0])
    return np.stack(issued), state


def noise(count: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(0.0, 1.0, count)


def test_wrong_quantiles_become_right() -> None:
    outcomes = noise(6000)

    issued, _ = run(outcomes, np.array([[-5.0, -4.0, -3.0]]))  # far too low

    for position, level in enumerate(LEVELS):
        ahead = issued[2000:-1, 0, 0, position]
        covered = (outcomes[2001:] <= ahead).mean()
        assert covered == pytest.approx(level, abs=0.03)


def test_the_peak_head_is_calibrated_on_running_maxima() -> None:
    outcomes = noise(6000)

    issued, _ = run(outcomes, np.array([[-5.0, -4.0, -3.0]]))

    highest = np.max([outcomes[1:-2], outcomes[2:-1], outcomes[3:]], axis=0)
    covered = (highest[2000:] <= issued[2000:-3, 1, HORIZON - 1, 2]).mean()
    assert covered == pytest.approx(0.9, abs=0.03)


def test_nothing_is_learnt_before_it_can_be_known() -> None:
    issued, state = run(np.full(HORIZON, 9.0), np.array([[-1.0, 0.0, 1.0]]))

    learnt = state.outcomes[0, 0, -1]  # (head, horizon)
    assert learnt[:, 0].tolist() == [2, 2]  # one step ahead: two of three forecasts have an outcome
    assert learnt[:, 1].tolist() == [1, 1]
    assert learnt[:, 2].tolist() == [0, 0]
    assert (issued[0] == issued[0, 0, 0]).all()  # the first forecast is what the expert said


def test_quantiles_never_cross() -> None:
    issued, _ = run(np.repeat(noise(100), 40), np.array([[-1.0, 0.0, 1.0]]))

    assert (np.diff(issued, axis=-1) >= 0).all()


def test_a_gap_teaches_nothing_and_does_no_harm() -> None:
    outcomes = noise(900)
    outcomes[300:400] = np.nan

    issued, state = run(outcomes, np.array([[-1.0, 0.0, 1.0]]))

    assert np.isfinite(issued).all()
    assert np.isfinite(state.offset).all()
    assert state.outcomes[0, 0, -1, 0, 0] == 899 - 100
    assert state.outcomes[0, 0, -1, 1, 2] < state.outcomes[0, 0, -1, 0, 0] - 3  # no maximum over a gap is known


def test_the_better_expert_gets_the_weight() -> None:
    outcomes = 3.0 + 0.1 * noise(1500)

    _, state = run(outcomes, np.array([[-9.0, -8.0, -7.0], [3.0, 3.0, 3.0]]))

    share = weights(SETTINGS, state)[0]  # (expert, head, horizon)
    assert (share[1] > 0.99).all()
    np.testing.assert_allclose(share.sum(axis=0), 1.0)


def test_at_the_start_the_network_speaks_alone() -> None:
    share = weights(SETTINGS, initial_state(SETTINGS, 3))

    assert (share[:, NETWORK] == 1).all()


def test_an_expert_without_an_opinion_gets_no_say() -> None:
    issued, state = run(noise(400), np.array([[-1.0, 0.0, 1.0], [np.nan] * 3]))

    assert np.isfinite(issued).all()
    assert np.isfinite(state.loss).all()
    assert (weights(SETTINGS, state)[0, 1] == 0).all()


def test_workloads_in_one_batch_do_not_touch_each_other() -> None:
    left, right = noise(200, 1), noise(200, 2) + 4
    given = np.broadcast_to(np.array([-1.0, 0.0, 1.0]), (2, 1, 2, HORIZON, 3))
    state, together = initial_state(SETTINGS, 1, batch=2), np.empty(0, np.float32)
    for pair in zip(left, right, strict=True):
        learn(SETTINGS, state, np.array(pair))
        together = issue(SETTINGS, state, given, np.zeros(2))

    for row, outcomes in enumerate((left, right)):
        alone, _ = run(outcomes, np.array([[-1.0, 0.0, 1.0]]))
        np.testing.assert_allclose(together[row], alone[-1])


def test_the_state_can_be_stored_and_goes_on() -> None:
    _, state = run(noise(100), np.array([[-1.0, 0.0, 1.0]]))
    buffer = io.BytesIO()
    np.savez(buffer, **{name: getattr(state, name) for name in OnlineState.__slots__})

    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        restored = OnlineState(**{name: stored[name] for name in stored.files})

    for one in (state, restored):
        learn(SETTINGS, one, np.array([0.5]))
    assert (state.offset == restored.offset).all()
    assert (state.due == restored.due).all()


def test_a_batch_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="one demand per workload"):
        learn(SETTINGS, initial_state(SETTINGS, 1), np.zeros(2))


def test_each_kind_of_forecast_is_calibrated_by_its_own_outcomes() -> None:
    rng = np.random.default_rng(5)
    steps = 3000
    is_wild = (np.arange(steps) % 2).astype(np.int64)
    outcomes = rng.standard_normal(steps) * np.where(is_wild, 3.0, 0.1)
    state, spread = initial_state(SETTINGS, 1, kinds=2), np.empty(steps)
    flat = np.zeros((1, 1, 2, SETTINGS.horizon, len(SETTINGS.levels)))
    for step, value in enumerate(outcomes):
        learn(SETTINGS, state, np.array([value]))
        kind = np.full((1, SETTINGS.horizon), is_wild[(step + 1) % steps])
        final = issue(SETTINGS, state, flat, np.zeros(1), kind)
        spread[step] = final[0, 0, 0, -1] - final[0, 0, 0, 0]

    one, other = np.median(spread[-400::2]), np.median(spread[-399::2])
    assert max(one, other) > 5 * min(one, other)
