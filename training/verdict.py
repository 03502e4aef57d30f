"""Does the LSTM earn its keep on this series?  Pure; every threshold of the answer is in this file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from training.card import Accuracy, AlarmScore, Coverage, Head, Role, ScoreCard, SkillInterval
from training.wording import count, duration, level_name, percent, points

MIN_GAIN_RATIO = 0.02  # less than this better or worse is a tie, however many pairs there are
MIN_WINDOWS = 30  # horizon-long windows: neighbouring origins err together, so pairs alone say little
MIN_SURGES = 5  # fewer, and recall is an anecdote
MIN_SURGES_TO_DECIDE = 10  # fewer cannot outweigh a tie in accuracy
F1_MARGIN = 0.02
F1_GAIN = 0.10  # what alarms must gain to outweigh a tie in accuracy
MAX_COVERAGE_ERROR = 0.03


class Outcome(StrEnum):
    """The answer in a word."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence for the person who decides, and what it rests on."""

    outcome: Outcome
    recommended: bool  # True only for YES
    sentence: str
    reasons: tuple[str, ...]


def verdict(card: ScoreCard) -> Verdict:
    """Judge the served forecast against the best simple baseline at the furthest horizon, and its alarms.

    It is recommended when it is clearly more accurate and its alarms are no worse, or as accurate with
    clearly better alarms.  A tie goes to the baseline, which needs no training.
    """
    horizon = card.model.horizon
    mine, best = card.accuracy_of(card.judged.key, horizon), card.best_baseline(horizon)
    ahead = duration(horizon * card.series.step_seconds)
    if mine is None or best is None or mine.wape is None or best.wape is None or best.wape <= 0:
        return _unclear(f"nothing to compare at {ahead}: no demand, or no forecast of it")
    needed = _pairs_needed(card)
    if mine.pairs < needed:
        return _unclear(
            f"only {count(mine.pairs)} pairs of forecast and demand at {ahead}, {count(needed)} are needed; "
            "evaluate on a longer span"
        )

    gain = 1 - mine.wape / best.wape
    interval = _interval(card, best.forecaster)
    alarms = _judge_alarms(card)
    found = _Findings(
        scores=f"off by {percent(mine.wape)} of demand {ahead} ahead",
        rival=f"{card.title(best.forecaster)} ({percent(best.wape)})",
        gain=gain,
        is_better=_is_gain(gain, None if interval is None else interval.low),
        is_worse=_is_gain(-gain, None if interval is None else -interval.high),
        repeats=any(row.forecaster == mine.forecaster and row.repeats_the_present for row in card.shift),
    )
    outcome, why = _answer(found, alarms)
    reasons = (
        _accuracy_reason(found, mine, best, interval, ahead, card.title(best.forecaster)),
        *alarms.reasons,
        *_shift_reasons(card),
        *_calibration_reasons(card),
    )
    sentence = f"{outcome.value.capitalize()}: {why}{alarms.clause}."
    return Verdict(outcome, outcome is Outcome.YES, sentence, reasons)


@dataclass(frozen=True, slots=True)
class _Findings:
    scores: str
    rival: str
    gain: float
    is_better: bool
    is_worse: bool
    repeats: bool


@dataclass(frozen=True, slots=True)
class _Alarms:
    is_worse: bool = False
    is_clearly_better: bool = False
    clause: str = ""  # appended to the sentence
    reasons: tuple[str, ...] = ()


def _answer(found: _Findings, alarms: _Alarms) -> tuple[Outcome, str]:
    """The rules, in order; the first that applies answers."""
    model, rival = f"the LSTM is {found.scores}", found.rival
    if found.repeats:
        return Outcome.NO, f"{model} and only repeats the present: its forecast lags behind demand"
    if found.is_better and alarms.is_worse:
        return Outcome.NO, f"{model}, less than {rival}, but its alarms are worse than a simple forecast's"
    if found.is_better:
        return Outcome.YES, f"{model}, {percent(found.gain, 0)} less than the best simple forecast, {rival}"
    if found.is_worse:
        return Outcome.NO, f"{model}, worse than a simple forecast, {rival}; use that"
    if alarms.is_clearly_better:
        return Outcome.YES, f"{model}, no better than {rival}, but its alarms are clearly better"
    return Outcome.NO, f"{model}, no better than a simple forecast, {rival}, which needs no training"


def _unclear(why: str) -> Verdict:
    return Verdict(Outcome.UNCLEAR, False, f"Cannot tell: {why}.", ())


def _pairs_needed(card: ScoreCard) -> int:
    """Enough windows, and one whole day, so that every time of day has been seen."""
    windows = MIN_WINDOWS * card.model.horizon
    seasons = card.model.season_seconds
    a_day = min(seasons) // card.series.step_seconds if seasons else 0
    # A few missing minutes and the last horizon must not make a whole day too short.
    return max(windows, int(0.9 * a_day))


def _interval(card: ScoreCard, baseline: str) -> SkillInterval | None:
    rows = (row for row in card.intervals if (row.baseline, row.horizon) == (baseline, card.model.horizon))
    return next(rows, None)


def _is_gain(gain: float, surely: float | None) -> bool:
    """Whether a gain matters, and is above zero even at the unlucky end of its interval."""
    return gain >= MIN_GAIN_RATIO and (surely is None or surely > 0)


def _accuracy_reason(
    found: _Findings, mine: Accuracy, best: Accuracy, interval: SkillInterval | None, ahead: str, title: str
) -> str:
    text = (
        f"Accuracy {ahead} ahead: WAPE {percent(mine.wape)} against {percent(best.wape)} of {title}, "
        f"{_more_or_less(found.gain)} over {count(mine.pairs)} pairs"
    )
    if interval is None:
        return text + "."
    low, high = percent(interval.low, signed=True), percent(interval.high, signed=True)
    return f"{text} ({percent(interval.confidence, 0)} interval of the skill {low} to {high})."


def _more_or_less(gain: float) -> str:
    if abs(gain) < 0.0005:
        return "the same error"
    return f"{percent(abs(gain))} {'less' if gain > 0 else 'more'} error"


def _judge_alarms(card: ScoreCard) -> _Alarms:
    mine = card.alarms_of(card.judged.key)
    if mine is None:
        return _Alarms(reasons=("Surges and alarms were not judged.",))
    if mine.surges == 0:
        return _Alarms(
            clause="; the test span had no surge, so its alarms are unproven",
            reasons=("No surge in the test span: nothing can be said about alarms.",),
        )
    told = f"it caught {mine.caught} of {count(mine.surges)} surges"
    resolved = mine.hits + mine.false_alarms
    if resolved:
        told += f", with {mine.false_alarms} of {count(resolved)} alarms false"
    if mine.surges < MIN_SURGES:
        return _Alarms(
            clause=f"; {told}, too few to judge its alarms",
            reasons=(f"Only {mine.surges} surges: {told}; {MIN_SURGES} are needed to compare alarms.",),
        )
    rival = _best_rival(card)
    if rival is None or rival.f1 is None or mine.f1 is None:
        return _Alarms(clause=f"; {told}", reasons=(f"Alarms: {told}; no baseline to compare with.",))
    difference, name = mine.f1 - rival.f1, card.title(rival.forecaster)
    return _Alarms(
        is_worse=difference < -F1_MARGIN,
        is_clearly_better=difference >= F1_GAIN and mine.surges >= MIN_SURGES_TO_DECIDE,
        clause=f"; {told}",
        reasons=(f"Alarms: {told}; F1 {mine.f1:.2f} against {rival.f1:.2f} of the best simple one, {name}.",),
    )


def _best_rival(card: ScoreCard) -> AlarmScore | None:
    baselines = {f.key for f in card.forecasters if f.role is Role.BASELINE}
    rows = [row for row in card.alarms if row.forecaster in baselines and row.f1 is not None]
    return max(rows, key=lambda row: row.f1 or 0.0, default=None)


def _shift_reasons(card: ScoreCard) -> list[str]:
    step = card.series.step_seconds
    return [
        f"Shift test: the forecast {duration(row.horizon * step)} ahead fits best when moved back by "
        f"{duration(row.best_shift * step)}: it repeats the present."
        for row in card.shift
        if row.forecaster == card.judged.key and row.repeats_the_present
    ]


def _calibration_reasons(card: ScoreCard) -> list[str]:
    worst = worst_coverage(card)
    if worst is None or worst.coverage is None or abs(worst.coverage - worst.level) <= MAX_COVERAGE_ERROR:
        return []
    within = duration(worst.horizon * card.series.step_seconds)
    error = points(abs(worst.coverage - worst.level))
    return [f"Calibration: {level_name(worst.level)} of the peak within {within} is {error} off its promise."]


def worst_coverage(card: ScoreCard, head: Head = Head.PEAK) -> Coverage | None:
    """The served quantile, of levels 0.5 to 0.99, whose coverage is furthest from its promise."""
    rows = [
        row
        for row in card.coverage
        if row.forecaster == card.judged.key and row.head is head and row.pairs and 0.5 <= row.level <= 0.99
    ]
    return max(rows, key=lambda row: abs((row.coverage or 0.0) - row.level), default=None)
