"""Prometheus rules that recompute the scores from exported gauges alone, and alerts on them.  Pure.

Every step one group puts demand, errors, coverage, surges and alarms on the grid of its own evaluations; a second and
slower group sums them over the window.  What `predictor.scores` and `predictor.surges` define is written here a second
time, in PromQL, so that nobody has to believe our own count.

Two habits make the expressions mean the same on every server.  A recorded series is read with a window of half a step,
which holds exactly the sample of that evaluation and never an older one.  A window of n steps is half a step shorter,
so that it holds n samples whether its left end counts (Prometheus 2) or does not (Prometheus 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from predictor.baselines import STALE_STEPS
from predictor.errors import InputError
from predictor.forecast import MEDIAN
from predictor.surges import RAISE, REPLICA, SurgeRule

Rule = dict[str, Any]  # one entry of a rules file
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_SLOWEST_SECONDS = 240  # below the five minutes after which Prometheus takes a series for gone
_MIN_OBSERVED = 0.5  # this and the next as predictor.surges has them
_ROUNDING = "1e-09"
_SETTLED_SECONDS = 15  # a step's demand is exported and scraped by then

DEMAND = "workload:forescale_demand:max"
TARGET = "workload:forescale_target_per_replica:max"
ASKED = "workload:forescale_alarm_demand:max"
ERROR = "workload_horizon_forecaster:forescale_error:abs"
ERROR_DEMAND = "workload_horizon_forecaster:forescale_error_demand:max"
PAIRED_ERROR = "workload_horizon_forecaster:forescale_paired_error:abs"
COVERED = "workload_horizon_head_quantile:forescale_covered:bool"
NEED = "workload:forescale_need_replicas:mean"
HELD = "workload:forescale_held_replicas:max"
RISEN = "workload:forescale_risen_replicas:need"
SURGE = "workload:forescale_surge:need"
WANTED = "workload:forescale_wanted_replicas:raise"
ALARM = "workload:forescale_alarm_replicas:raise"
CAUGHT = "workload:forescale_surge_caught:bool"
DECIDED = "workload:forescale_decided_alarm_replicas:raise"
FALSE = "workload:forescale_alarm_false:bool"
UNOBSERVED = "workload:forescale_alarm_unobserved:bool"
WASTED = "workload:forescale_wasted_replica_seconds:raise"
PENDING = "workload:forescale_pending_alarms:count"


def recording_rules(
    *,
    step_seconds: int,
    horizon_seconds: int,
    score_horizons_seconds: Sequence[int],
    levels: Sequence[float],
    window: str = "1d",
) -> dict[str, Any]:
    """The rules document: errors at `score_horizons_seconds`, coverage of `levels` at the horizon, surges and alarms.

    window: a PromQL duration of a single unit; it ends the names of what is summed over it.
    """
    for horizon in (horizon_seconds, *score_horizons_seconds):
        if horizon < step_seconds or horizon % step_seconds:
            raise InputError(f"horizon {horizon} s: give a multiple of the step, {step_seconds} s")
    grid = Grid(step_seconds)
    steps = _window_seconds(window) // step_seconds
    if steps < 1:
        raise InputError(f"--window {window}: give at least one step, {step_seconds} s")
    every_step = [
        *_gauges(grid),
        *(rule for horizon in sorted(set(score_horizons_seconds)) for rule in _errors(grid, horizon)),
        *_coverage(grid, horizon_seconds, levels),
        *_surges(grid, steps),
        *_alarms(grid),
    ]
    every_window = [*_point_scores(grid, steps, window), *_coverage_scores(grid, steps, window)]
    every_window += _alarm_scores(grid, steps, window)
    slow = max(step_seconds, min(4 * step_seconds, _SLOWEST_SECONDS))
    return {
        "groups": [
            {"name": "forescale-steps", "interval": duration(1000 * step_seconds), "rules": every_step},
            {"name": f"forescale-scores-{window}", "interval": duration(1000 * slow), "rules": every_window},
        ]
    }


def alert_rules(
    *, step_seconds: int, horizon_seconds: int, levels: Sequence[float], window: str = "1d"
) -> dict[str, Any]:
    """Alerts on what `recording_rules` records; a score raises one only when half of its window could be judged."""
    enough = max(1, _window_seconds(window) // step_seconds // 2)
    rules = list(_alerts(step_seconds, horizon_seconds, levels, window, enough))
    return {"groups": [{"name": "forescale-alerts", "rules": rules}]}


def as_yaml(document: dict[str, Any]) -> str:
    """The document as Prometheus reads it."""
    return str(yaml.safe_dump(document, sort_keys=False, width=10**6, allow_unicode=True))


def duration(milliseconds: int) -> str:
    """A PromQL duration such as 14m30s."""
    parts = []
    for unit, size in _UNITS:
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


class Grid:
    """How recorded series are read, in steps."""

    def __init__(self, step_seconds: int) -> None:
        self.step_seconds = step_seconds
        self.rule = SurgeRule.for_step(step_seconds)

    def at(self, name: str, back: int = 0) -> str:
        """The sample recorded exactly `back` steps ago; nothing when none was."""
        return f"last_over_time({self.window(name, 1, back)})"

    def window(self, name: str, steps: int, back: int = 0) -> str:
        """The samples recorded in the `steps` evaluations that end `back` steps ago."""
        span = duration(1000 * self.step_seconds * steps - 500 * self.step_seconds)
        return f"{name}[{span}]{self.offset(back)}"

    def over(self, function: str, name: str, steps: int, back: int = 0) -> str:
        """A function over such a window."""
        return f"{function}_over_time({self.window(name, steps, back)})"

    def offset(self, back: int) -> str:
        return f" offset {duration(1000 * self.step_seconds * back)}" if back else ""

    def exported(self, selector: str, back: int = 0) -> str:
        """A gauge of the server as it was scraped, `back` steps ago; nothing when it is older than a step."""
        read = f"{selector}{self.offset(back)}"
        oldest = self.step_seconds * (back + 1)
        return f"({read} < Inf) and (timestamp({read}) > time() - {oldest})"


def _gauges(grid: Grid) -> Iterator[Rule]:
    # A gauge repeats the newest sample while none follows; a repeated one was not observed.
    seconds = grid.step_seconds
    is_repeated = f"(forescale_data_age_seconds - forescale_forecast_age_seconds > {seconds / 2:g})"
    is_old = f"(forescale_data_age_seconds > {max(2 * seconds, seconds + _SETTLED_SECONDS)})"
    demand = f"({grid.exported('forescale_demand')}) unless {is_repeated} unless {is_old}"
    yield _record(DEMAND, f"max by (workload) ({demand})")
    yield _record(TARGET, f"max by (workload) ({grid.exported('forescale_target_per_replica')})")
    yield _record(ASKED, f"max by (workload) ({grid.exported('forescale_alarm_demand')})")


def _errors(grid: Grid, horizon_seconds: int) -> Iterator[Rule]:
    steps = horizon_seconds // grid.step_seconds
    horizon = {"horizon_seconds": str(horizon_seconds)}
    model, repeated = {**horizon, "forecaster": "model"}, {**horizon, "forecaster": "persistence"}
    selector = f'forescale_forecast_demand{{quantile="{MEDIAN:g}",horizon_seconds="{horizon_seconds}"}}'
    median = f"max by (workload) ({grid.exported(selector, steps)})"
    last = grid.over("last", DEMAND, STALE_STEPS + 1, steps)
    demand = grid.at(DEMAND)
    yield _record(ERROR, f"abs({demand} - on (workload) {median})", model)
    yield _record(ERROR, f"abs({demand} - on (workload) {last})", repeated)
    ours, theirs = grid.at(_with(ERROR, model)), grid.at(_with(ERROR, repeated))
    yield _record(ERROR_DEMAND, f"{demand} and on (workload) {ours}", model)
    yield _record(ERROR_DEMAND, f"{demand} and on (workload) {theirs}", repeated)
    yield _record(PAIRED_ERROR, f"{ours} and on (workload) {theirs}", model)
    yield _record(PAIRED_ERROR, f"{theirs} and on (workload) {ours}", repeated)


def _coverage(grid: Grid, horizon_seconds: int, levels: Sequence[float]) -> Iterator[Rule]:
    steps = horizon_seconds // grid.step_seconds
    demand = grid.at(DEMAND)
    # A maximum over a stretch with a missing sample is not known.
    highest = f"({grid.over('max', DEMAND, steps)} and ({grid.over('count', DEMAND, steps)} == {steps}))"
    wanted = "|".join(f"{level:g}".replace(".", "\\\\.") for level in levels)
    labels = f'quantile=~"{wanted}",horizon_seconds="{horizon_seconds}"'
    for head, metric, outcome in (
        ("step", "forescale_forecast_demand", demand),
        ("peak", "forescale_forecast_window_max_demand", highest),
    ):
        forecast = f"max by (workload, quantile) ({grid.exported(f'{metric}{{{labels}}}', steps)})"
        expression = f"{forecast} >= bool on (workload) group_left () {outcome}"
        yield _record(COVERED, expression, {"horizon_seconds": str(horizon_seconds), "head": head})


def _surges(grid: Grid, window_steps: int) -> Iterator[Rule]:
    rule = grid.rule
    # Sum by count rather than an average: exact for whole numbers, which is where need meets a threshold.
    mean = f"{grid.over('sum', DEMAND, rule.need)} / {grid.over('count', DEMAND, rule.need)}"
    yield _record(NEED, f"({mean} / {grid.at(TARGET)}) and {grid.at(DEMAND)}")
    yield _record(HELD, f"ceil({grid.over('max', NEED, rule.held)} - {_ROUNDING})")
    before = grid.at(HELD, rule.ahead)
    yield _record(RISEN, f"({grid.at(NEED)} >= {RAISE:g} * {before}) >= {before} + {REPLICA:g}")
    # Its whole warning time must have been on duty, or no alarm could have come before it.
    on_duty = grid.over("present", ASKED, window_steps, rule.earliest)
    quiet = grid.over("present", RISEN, rule.ahead, 1)
    yield _record(SURGE, f"({grid.at(RISEN)} unless {quiet}) and {on_duty}")


def _alarms(grid: Grid) -> Iterator[Rule]:
    rule = grid.rule
    asked, held = f"({grid.at(ASKED)} / {grid.at(TARGET)})", grid.at(HELD)
    yield _record(WANTED, f"(({asked} >= {RAISE:g} * {held}) >= {held} + {REPLICA:g}) - {held}")
    edge = f"{grid.at(WANTED)} unless {grid.at(WANTED, 1)}"
    # Looks at what it recorded itself: an alarm is refused because an earlier one was not.
    refractory = f" unless {grid.over('present', ALARM, rule.ahead - 1, 1)}" if rule.ahead > 1 else ""
    yield _record(ALARM, edge + refractory)
    surge = grid.at(SURGE)
    early = grid.over("present", ALARM, rule.earliest - rule.latest + 1, rule.latest)
    yield _record(CAUGHT, f"({early} and {surge}) or 0 * {surge}")
    yield _record(DECIDED, grid.at(ALARM, rule.outcome))
    decided = grid.at(DECIDED)
    is_observed = f"({grid.over('count', NEED, rule.outcome)} / {rule.outcome} >= {_MIN_OBSERVED:g})"
    goal = f"({grid.at(HELD, rule.outcome)} + {decided} / 2)"
    resolved = f"({decided} and {is_observed})"
    hit = f"({grid.over('max', NEED, rule.outcome)} >= {goal})"
    yield _record(UNOBSERVED, f"0 * {resolved} or 0 * {decided} + 1")
    yield _record(FALSE, f"0 * ({resolved} and {hit}) or 0 * {resolved} + 1")
    wasted = f"({decided} and ({grid.at(FALSE)} == 1)) * {rule.outcome * grid.step_seconds}"
    yield _record(WASTED, wasted)
    open_alarms = grid.over("count", ALARM, rule.outcome)
    yield _record(PENDING, f"{open_alarms} or 0 * {grid.at(ASKED)}")


def _point_scores(grid: Grid, steps: int, window: str) -> Iterator[Rule]:
    name = "workload_horizon_forecaster:forescale"
    yield _record(f"{name}_error:count{window}", grid.over("count", ERROR, steps))
    yield _record(f"{name}_error:sum{window}", grid.over("sum", ERROR, steps))
    yield _record(f"{name}_error_demand:sum{window}", grid.over("sum", ERROR_DEMAND, steps))
    yield _record(f"{name}_wape:ratio{window}", f"{name}_error:sum{window} / ({name}_error_demand:sum{window} > 0)")
    yield _record(f"{name}_paired_error:count{window}", grid.over("count", PAIRED_ERROR, steps))
    yield _record(f"{name}_paired_error:sum{window}", grid.over("sum", PAIRED_ERROR, steps))
    paired = f"{name}_paired_error:sum{window}"
    ours, theirs = (f'{paired}{{forecaster="{forecaster}"}}' for forecaster in ("model", "persistence"))
    skill = f"1 - {ours} / on (workload, horizon_seconds) ({theirs} > 0)"
    yield _record(f"workload_horizon:forescale_skill:ratio{window}", skill)


def _coverage_scores(grid: Grid, steps: int, window: str) -> Iterator[Rule]:
    name = "workload_horizon_head_quantile:forescale"
    yield _record(f"{name}_covered:count{window}", grid.over("count", COVERED, steps))
    yield _record(f"{name}_covered:sum{window}", grid.over("sum", COVERED, steps))
    yield _record(f"{name}_coverage:ratio{window}", f"{name}_covered:sum{window} / {name}_covered:count{window}")


def _alarm_scores(grid: Grid, steps: int, window: str) -> Iterator[Rule]:
    name = "workload:forescale"
    duty = f"{name}_alarm_demand:count{window}"
    yield _record(duty, grid.over("count", ASKED, steps))

    # Where alarms could be raised, none is 0; where they could not, nothing is said.
    def counted(what: str, expression: str) -> Rule:
        return _record(f"{name}_{what}{window}", f"{expression} or 0 * {duty}")

    yield counted("surge:count", grid.over("count", CAUGHT, steps))
    yield counted("surge_caught:sum", grid.over("sum", CAUGHT, steps))
    yield counted("alarm:count", grid.over("count", ALARM, steps))
    yield counted("alarm_resolved:count", grid.over("count", FALSE, steps))
    yield counted("alarm_false:sum", grid.over("sum", FALSE, steps))
    yield counted("alarm_unobserved:sum", grid.over("sum", UNOBSERVED, steps))
    yield counted("wasted_replica_seconds:sum", grid.over("sum", WASTED, steps))
    hits = f"{name}_alarm_resolved:count{window} - {name}_alarm_false:sum{window}"
    yield _record(f"{name}_alarm_hit:sum{window}", hits)
    recall = f"{name}_surge_caught:sum{window} / ({name}_surge:count{window} > 0)"
    yield _record(f"{name}_recall:ratio{window}", recall)
    false = f"{name}_alarm_false:sum{window} / ({name}_alarm_resolved:count{window} > 0)"
    yield _record(f"{name}_false_alarm:ratio{window}", false)


def _alerts(
    step_seconds: int, horizon_seconds: int, levels: Sequence[float], window: str, enough: int
) -> Iterator[Rule]:
    late = max(5 * step_seconds, step_seconds + _SETTLED_SECONDS)
    wait = duration(1000 * max(5 * step_seconds, _SETTLED_SECONDS))
    yield _alert(
        "ForescaleForecastStale",
        f"min by (workload) (forescale_forecast_age_seconds) > {late}",
        wait,
        "The newest forecast of {{ $labels.workload }} knows nothing of the last {{ $value | humanizeDuration }}.",
    )
    yield _alert(
        "ForescaleForecastMissing",
        "max by (workload) (forescale_demand) unless on (workload) forescale_forecast_age_seconds",
        wait,
        "{{ $labels.workload }} has demand but no forecast; forescale_forecast_unavailable says why.",
    )
    pairs = f'workload_horizon_forecaster:forescale_paired_error:count{window}{{forecaster="model"}} >= {enough}'
    yield _alert(
        "ForescaleWorseThanPersistence",
        f"workload_horizon:forescale_skill:ratio{window} < 0 and on (workload, horizon_seconds) {pairs}",
        wait,
        f"Over {window}, forecasting {{{{ $labels.workload }}}} {{{{ $labels.horizon_seconds }}}} s ahead was worse "
        "than repeating its last value.",
    )
    covered = "workload_horizon_head_quantile:forescale"
    for level in (level for level in levels if 0.9 <= level < 1):
        lowest = round(1 - 2 * (1 - level), 9)  # outcomes above the quantile twice as often as promised
        labels = f'{{head="peak",quantile="{level:g}",horizon_seconds="{horizon_seconds}"}}'
        yield _alert(
            "ForescaleCoverageOff",
            f"{covered}_coverage:ratio{window}{labels} < {lowest:g} and {covered}_covered:count{window} >= {enough}",
            wait,
            f"Over {window}, the highest demand of {{{{ $labels.workload }}}} stayed below its {level:g} quantile in "
            "{{ $value | humanizePercentage }} of all cases.",
            {"level": f"{level:g}"},
        )
    resolved = f"workload:forescale_alarm_resolved:count{window} >= 4"
    yield _alert(
        "ForescaleMostAlarmsFalse",
        f"workload:forescale_false_alarm:ratio{window} > 0.5 and {resolved}",
        wait,
        f"{{{{ $value | humanizePercentage }}}} of the alarms of {{{{ $labels.workload }}}} in {window} were false.",
    )


def _record(name: str, expression: str, labels: dict[str, str] | None = None) -> Rule:
    rule: Rule = {"record": name, "expr": expression}
    return {**rule, "labels": dict(labels)} if labels else rule  # a copy: YAML would name a shared one


def _alert(name: str, expression: str, wait: str, summary: str, labels: dict[str, str] | None = None) -> Rule:
    marks = {"severity": "warning", **(labels or {})}
    return {"alert": name, "expr": expression, "for": wait, "labels": marks, "annotations": {"summary": summary}}


def _with(name: str, labels: dict[str, str]) -> str:
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}"


def _window_seconds(window: str) -> int:
    match = re.fullmatch(r"([1-9]\d*)([smhdw])", window)
    if match is None:
        raise InputError(f"--window {window}: give a number and one unit, like 6h, 1d or 1w")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[match[2]]
