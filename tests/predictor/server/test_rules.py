"""The rules give what our own Python gives, on the same samples and in a real Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictor.baselines import persistence
from predictor.scores import actual_paths, coverage, point_error, skill
from predictor.series import FloatArray
from predictor.server.rules import duration, recording_rules
from predictor.surges import Demand, SurgeRule, judge
from tests.predictor.server.promtool import Questions, promtool_2, promtool_3
from tests.servers.processes import ROOT

LEVELS = (0.5, 0.95, 0.99)
TARGET = 50.0
MISSING = float("nan")
SECONDS = {"6h": 21_600, "1d": 86_400, "15m": 900}

Finder = Callable[[], Path]


@dataclass(frozen=True, slots=True)
class Setting:
    """A step, and what the rules are told about it."""

    step_seconds: int
    samples: int
    window: str
    horizon: int = 15  # steps
    short: int = 5  # steps, the other horizon that is scored
    surge_minutes: tuple[int, int] = (35, 110)  # from one to the next

    @property
    def window_steps(self) -> int:
        return SECONDS[self.window] // self.step_seconds

    def rules(self) -> dict[str, Any]:
        return recording_rules(
            step_seconds=self.step_seconds,
            horizon_seconds=self.horizon * self.step_seconds,
            score_horizons_seconds=(self.short * self.step_seconds, self.horizon * self.step_seconds),
            levels=LEVELS,
            window=self.window,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """What the server exported of one workload, NaN where a gauge was absent; every array (time, ...)."""

    name: str
    demand: FloatArray
    medians: dict[int, FloatArray]  # steps ahead -> forecast
    path: FloatArray  # (time, level), at the horizon
    peak: FloatArray  # (time, level), at the horizon
    asked: FloatArray
    first: int  # the first step with a forecast


def a_workload(seed: int, setting: Setting) -> Exported:
    """A day with surges, foreseen or not, false alarms, noise, gaps in demand and hours without a forecast.

    Even seeds count whole requests, of which the thresholds are met exactly now and then.
    """
    random = np.random.default_rng(seed)
    size, minute = setting.samples, max(1, 60 // setting.step_seconds)
    minutes = np.arange(size) / minute
    level = 400 * (1.3 + np.sin(2 * np.pi * minutes / 1440 + seed))
    begins = np.cumsum(random.integers(*setting.surge_minutes, size=40) * minute)
    begins = begins[begins < size]
    foreseen = np.zeros(size)
    for begin in begins:
        lasts = int(random.integers(8, 40)) * minute
        factor = random.uniform(1.1, 2.0)
        level[begin : begin + lasts] *= factor
        if random.random() < 0.6:  # else it is missed
            early = max(0, begin - int(random.integers(2, 25)) * minute)
            foreseen[early : begin + lasts] = factor * level[max(begin - 1, 0)] * random.uniform(0.9, 1.3)
    for at in random.integers(0, size, size=max(4, size // (90 * minute))):
        foreseen[at : at + int(random.integers(1, 8)) * minute] = level[at] * random.uniform(1.2, 2.5)  # often false
    demand = random.poisson(level).astype(np.float64) if seed % 2 == 0 else level * random.lognormal(0, 0.03, size)
    demand[random.random(size) < 0.02] = np.nan
    for at in random.integers(0, size, size=6):
        demand[at : at + int(random.integers(2, 14)) * minute] = np.nan
    long = int(random.integers(size // 2, size - size // 4))
    demand[long : long + 70] = np.nan  # longer than persistence remembers
    known = np.where(np.isfinite(demand), demand, 0.0)

    def ahead(steps: int) -> FloatArray:
        return np.concatenate([level[steps:], np.full(steps, level[-1])])

    def opinions(values: FloatArray) -> FloatArray:
        """Gauges are absent at first and for a while later."""
        spoken = values.copy()
        spoken[:first] = np.nan
        spoken[silent : silent + 20 * minute] = np.nan
        return spoken

    first, silent = 7 * minute, int(random.integers(size // 3, size // 2))
    spread = np.array([0.0, 0.06, 0.09])
    noise = random.lognormal(0, 0.04, size)
    path = (ahead(setting.horizon) * noise)[:, None] * (1 + spread)
    peak = np.maximum(path, known[:, None]) * (1.02 + spread)
    short = ahead(setting.short) * random.lognormal(0, 0.02, size)
    wish = np.maximum(level, foreseen) * np.repeat(random.lognormal(0, 0.02, size // minute + 1), minute)[:size]
    return Exported(
        name=f"seed-{seed}",
        demand=demand,
        medians={setting.short: opinions(short), setting.horizon: opinions(path[:, 0])},
        path=opinions(path),
        peak=opinions(peak),
        asked=opinions(wish),
        first=first,
    )


def export(questions: Questions, setting: Setting, one: Exported) -> None:
    """Write what the server would have exported."""
    where = {"workload": one.name, "job": "forescale", "instance": "forescale-0:8080"}
    questions.given("forescale_demand", where, one.demand)
    questions.given("forescale_target_per_replica", where, np.full(one.demand.size, TARGET))
    questions.given("forescale_alarm_demand", where, one.asked)
    ahead = str(setting.horizon * setting.step_seconds)
    for position, level in enumerate(LEVELS):
        labels = {**where, "quantile": f"{level:g}", "horizon_seconds": ahead}
        questions.given("forescale_forecast_demand", labels, one.path[:, position])
        questions.given("forescale_forecast_window_max_demand", labels, one.peak[:, position])
    labels = {**where, "quantile": "0.5", "horizon_seconds": str(setting.short * setting.step_seconds)}
    questions.given("forescale_forecast_demand", labels, one.medians[setting.short])


def expect_point_scores(questions: Questions, setting: Setting, one: Exported, now: int) -> None:
    """Errors and skill of the window that ends at step `now`."""
    window, demand = setting.window, one.demand[: now + 1]
    for steps, median in one.medians.items():
        targets = np.arange(max(steps, now + 1 - setting.window_steps), now + 1)
        actual, forecast = demand[targets], median[targets - steps]
        repeated = persistence(demand, targets - steps, steps)[:, -1]
        labels = {"workload": one.name, "horizon_seconds": str(steps * setting.step_seconds)}
        where = ",".join(f'{name}="{value}"' for name, value in labels.items())
        for forecaster, values in (("model", forecast), ("persistence", repeated)):
            error = point_error(actual, values)
            mine = f'{{{where},forecaster="{forecaster}"}}'
            name = "workload_horizon_forecaster:forescale"
            questions.expect(now, f"sum({name}_error:count{window}{mine})", float(error.pairs))
            questions.expect_near(now, f"{name}_wape:ratio{window}{mine}", error.wape)
        gain = skill(actual, forecast, repeated)
        questions.expect_near(now, f"workload_horizon:forescale_skill:ratio{window}{{{where}}}", gain)


def expect_coverage(questions: Questions, setting: Setting, one: Exported, now: int) -> dict[str, int]:
    """Pairs and covered outcomes of both heads and all levels; the pairs of each head."""
    targets = np.arange(max(setting.horizon, now + 1 - setting.window_steps), now + 1)
    origins = targets - setting.horizon
    path, peak = actual_paths(one.demand[: now + 1], origins, setting.horizon)
    pairs = {}
    for head, actual, forecast in (("step", path[:, -1], one.path), ("peak", peak[:, -1], one.peak)):
        for position, level in enumerate(LEVELS):
            found = coverage(actual, forecast[origins, position])
            labels = f'{{workload="{one.name}",head="{head}",quantile="{level:g}"}}'
            name = "workload_horizon_head_quantile:forescale"
            questions.expect(now, f"sum({name}_covered:count{setting.window}{labels})", float(found.pairs))
            questions.expect(now, f"sum({name}_covered:sum{setting.window}{labels})", float(found.covered))
            questions.expect_near(now, f"{name}_coverage:ratio{setting.window}{labels}", found.covered / found.pairs)
            pairs[head] = found.pairs
    return pairs


@dataclass(frozen=True, slots=True)
class Counts:
    """What our own Python counts in one window, an alarm's outcome in the window in which it is decided."""

    surges: int
    caught: int
    alarms: int
    hits: int
    false_alarms: int
    unobserved: int
    pending: int


def expect_alarms(questions: Questions, setting: Setting, one: Exported, now: int) -> Counts:
    """Surges and alarms of the window that ends at step `now`, and each event at its own moment."""
    rule, oldest = SurgeRule.for_step(setting.step_seconds), now - setting.window_steps
    demand = Demand.of(one.demand[: now + 1], setting.step_seconds, TARGET)
    judged = judge(demand, one.asked[one.first : now + 1], one.first)
    decided_at = judged.alarms + rule.outcome
    is_decided = (decided_at <= now) & (decided_at > oldest)
    outcomes = judged.outcomes[is_decided]
    fresh = judged.surges > oldest
    false = judged.alarms[is_decided][outcomes == 0]
    wasted = float((one.asked[false] / TARGET - demand.held[false]).sum()) * rule.outcome * setting.step_seconds
    counts = Counts(
        surges=int(fresh.sum()),
        caught=int(judged.caught[fresh].sum()),
        alarms=int((judged.alarms > oldest).sum()),
        hits=int((outcomes == 1).sum()),
        false_alarms=int((outcomes == 0).sum()),
        unobserved=int((outcomes == -1).sum()),
        pending=int((decided_at > now).sum()),
    )
    window, mine = setting.window, f'{{workload="{one.name}"}}'
    for name, value in (
        (f"surge:count{window}", counts.surges),
        (f"surge_caught:sum{window}", counts.caught),
        (f"alarm:count{window}", counts.alarms),
        (f"alarm_hit:sum{window}", counts.hits),
        (f"alarm_false:sum{window}", counts.false_alarms),
        (f"alarm_resolved:count{window}", counts.hits + counts.false_alarms),
        (f"alarm_unobserved:sum{window}", counts.unobserved),
    ):
        questions.expect(now, f"sum(workload:forescale_{name}{mine})", float(value))
    is_mute = counts.pending == 0 and np.isnan(one.asked[now])  # 0 is said only while an alarm could be raised
    questions.expect(
        now, f"sum(workload:forescale_pending_alarms:count{mine})", None if is_mute else float(counts.pending)
    )
    resolved = counts.hits + counts.false_alarms
    recall = counts.caught / counts.surges if counts.surges else None
    questions.expect_near(now, f"workload:forescale_recall:ratio{window}{mine}", recall)
    false_ratio = counts.false_alarms / resolved if resolved else None
    questions.expect_near(now, f"workload:forescale_false_alarm:ratio{window}{mine}", false_ratio)
    questions.expect_near(now, f"workload:forescale_wasted_replica_seconds:sum{window}{mine}", wasted)
    half = duration(500 * setting.step_seconds)
    for at in judged.alarms.tolist():
        questions.expect(
            at,
            f"present_over_time(workload:forescale_alarm_replicas:raise{mine}[{half}])",
            1.0,
            workload=one.name,
        )
    for at, is_caught in zip(judged.surges.tolist(), judged.caught.tolist(), strict=True):
        questions.expect(
            at,
            f"sum(last_over_time(workload:forescale_surge_caught:bool{mine}[{half}]))",
            float(is_caught),
        )
    return counts


SIX_HOURS = Setting(step_seconds=60, samples=2000, window="6h")
A_DAY = Setting(step_seconds=60, samples=1700, window="1d")
EVERY_SECOND = Setting(step_seconds=1, samples=6000, window="15m", surge_minutes=(20, 30))


@pytest.mark.parametrize("find", [promtool_2, promtool_3])
@pytest.mark.parametrize(
    ("setting", "seeds"),
    [(SIX_HOURS, (1, 2, 3, 4, 5, 6)), (A_DAY, (7, 8)), (EVERY_SECOND, (33, 34))],
    ids=["60s-6h", "60s-1d", "1s-15m"],
)
def test_prometheus_recomputes_our_scores_exactly(
    find: Finder, setting: Setting, seeds: tuple[int, ...], tmp_path: Path
) -> None:
    questions, counts = Questions(setting.step_seconds), []
    for seed in seeds:
        one = a_workload(seed, setting)
        export(questions, setting, one)
        for now in (setting.samples // 4, setting.samples // 2, setting.samples * 3 // 4, setting.samples - 1):
            expect_point_scores(questions, setting, one, now)
            pairs = expect_coverage(questions, setting, one, now)
            assert pairs["step"] > pairs["peak"] > 0
            counts.append(expect_alarms(questions, setting, one, now))

    questions.ask(find(), setting.rules(), tmp_path)

    # Not for want of anything to agree about.
    assert min(sum(one.caught for one in counts), sum(one.surges - one.caught for one in counts)) > 0
    assert min(sum(one.hits for one in counts), sum(one.false_alarms for one in counts)) > 0


def test_one_workload_costs_as_many_series_as_the_documentation_says(tmp_path: Path) -> None:
    questions = Questions(SIX_HOURS.step_seconds)
    export(questions, SIX_HOURS, a_workload(1, SIX_HOURS))

    recorded = 'last_over_time({__name__=~"workload.*:forescale_.*"}[2d])'
    questions.expect(SIX_HOURS.samples - 1, f"count({recorded})", 88.0)
    questions.ask(promtool_2(), SIX_HOURS.rules(), tmp_path)

    assert "at most 88 series" in (ROOT / "docs" / "recording-rules.md").read_text(encoding="utf-8")
