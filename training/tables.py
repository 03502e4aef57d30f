"""The score card as tables of text, which the terminal and the HTML page only set.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from training.card import Accuracy, AlarmScore, Coverage, Forecaster, Head, Role, ScoreCard
from training.verdict import worst_coverage
from training.wording import ABSENT, count, duration, instant, level_name, number, percent, points


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry; `is_best` marks the best of its column."""

    text: str
    is_best: bool = False
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line; the first cell names it."""

    cells: tuple[Cell, ...]
    is_judged: bool = False  # the forecaster that the verdict is about


@dataclass(frozen=True, slots=True)
class Table:
    """A caption that says what is counted, column heads, and rows of as many cells."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Headline:
    """One number that is read first, with what it stands beside."""

    label: str
    value: str
    detail: str  # denominator, window, what it is compared with
    is_good: bool | None = None  # None: neither


def ahead(card: ScoreCard, horizon: int) -> str:
    """A horizon as a length of time."""
    return duration(horizon * card.series.step_seconds)


def shown_horizons(horizon: int) -> tuple[int, ...]:
    """The columns that fit: the first step, and a third, two thirds and all of the horizon."""
    return tuple(sorted({1, max(1, horizon // 3), max(1, 2 * horizon // 3), horizon}))


def headlines(card: ScoreCard) -> tuple[Headline, ...]:
    """The numbers for the top of the page: accuracy, alarms, calibration."""
    horizon, key = card.model.horizon, card.judged.key
    told = [_error_headline(card, horizon), _gain_headline(card, horizon)]
    alarms = card.alarms_of(key)
    if alarms is not None:
        told += _alarm_headlines(card, alarms)
    worst = worst_coverage(card)
    if worst is not None and worst.coverage is not None:
        error = abs(worst.coverage - worst.level)
        told.append(
            Headline(
                "Calibration, worst level",
                points(error),
                f"{level_name(worst.level)} of the peak within {ahead(card, worst.horizon)} held "
                f"{percent(worst.coverage)} of {count(worst.pairs)} times",
                error <= 0.01,
            )
        )
    return tuple(told)


def _error_headline(card: ScoreCard, horizon: int) -> Headline:
    mine = card.accuracy_of(card.judged.key, horizon)
    persistence = card.accuracy_of("persistence", horizon)
    detail = f"of demand; persistence {percent(persistence.wape)}" if persistence else "of demand"
    pairs = f"; {count(mine.pairs)} pairs" if mine else ""
    return Headline(f"Error {ahead(card, horizon)} ahead (WAPE)", percent(mine.wape if mine else None), detail + pairs)


def _gain_headline(card: ScoreCard, horizon: int) -> Headline:
    mine, best = card.accuracy_of(card.judged.key, horizon), card.best_baseline(horizon)
    if mine is None or best is None or mine.wape is None or not best.wape:
        return Headline("Against the best simple forecast", ABSENT, "nothing to compare with")
    gain = 1 - mine.wape / best.wape
    word = "less error" if gain >= 0 else "more error"
    detail = f"{word} than {card.title(best.forecaster)} ({percent(best.wape)})"
    for row in card.intervals:
        if (row.baseline, row.horizon) == (best.forecaster, horizon):
            low, high = percent(row.low, 0, signed=True), percent(row.high, 0, signed=True)
            detail += f"; {percent(row.confidence, 0)} interval of the skill {low} to {high}"
    return Headline("Against the best simple forecast", percent(abs(gain), 0), detail, gain > 0)


def _alarm_headlines(card: ScoreCard, alarms: AlarmScore) -> list[Headline]:
    per_day = ""
    if card.replicas is not None and card.replicas.days > 0:
        per_day = f"; {number(alarms.surges / card.replicas.days, 2)} surges a day"
    resolved = alarms.hits + alarms.false_alarms
    pending = f"; {alarms.pending} pending" if alarms.pending else ""
    return [
        Headline("Surges caught", percent(alarms.recall, 0), f"{alarms.caught} of {count(alarms.surges)}{per_day}"),
        Headline(
            "False alarms",
            percent(alarms.false_alarm_ratio, 0),
            f"{alarms.false_alarms} of {count(resolved)} resolved alarms{pending}",
        ),
        Headline(
            "Warning before a surge",
            duration(alarms.median_lead_seconds),
            f"median over {count(alarms.caught)} caught surges",
        ),
    ]


def accuracy_table(card: ScoreCard) -> Table:
    """One row per forecaster: WAPE at a few horizons, the other scores at the furthest."""
    horizons, furthest = shown_horizons(card.model.horizon), card.model.horizon
    best = {h: _least(card, h) for h in horizons}
    rows = []
    for forecaster in card.forecasters:
        last = card.accuracy_of(forecaster.key, furthest)
        cells = [Cell(forecaster.title)]
        for h in horizons:
            row = card.accuracy_of(forecaster.key, h)
            text = percent(row.wape if row else None)
            cells.append(Cell(text, is_best=row is not None and text != ABSENT and text == percent(best[h])))
        cells += [
            Cell(percent(last.skill_over_persistence if last else None, signed=True)),
            Cell(percent(last.skill_over_level_adjusted if last else None, signed=True)),
            Cell(number(last.mase if last else None)),
            Cell(percent(last.bias if last else None, signed=True)),
            Cell(count(last.pairs if last else None)),
        ]
        rows.append(_row(forecaster, cells))
    return Table(
        f"WAPE per lead; skill, MASE, bias and pairs at {ahead(card, furthest)}",
        (
            "Forecaster",
            *(f"WAPE {ahead(card, h)}" for h in horizons),
            "Skill over persistence",
            "Skill over level-adjusted",
            "MASE",
            "Bias",
            "Pairs",
        ),
        tuple(rows),
        "WAPE is the sum of absolute errors over the sum of demand; skill is the share of a baseline's WAPE "
        "that is saved. Bias above zero means that too much was forecast.",
    )


def every_horizon_table(card: ScoreCard) -> Table:
    """WAPE of every forecaster at every horizon."""
    rows = []
    for h in range(1, card.model.horizon + 1):
        scored = [card.accuracy_of(f.key, h) for f in card.forecasters]
        if any(row is not None for row in scored):
            least = percent(_least(card, h))
            texts = [percent(row.wape if row else None) for row in scored]
            cells = [Cell(text, is_best=text == least != ABSENT) for text in texts]
            pairs = next((row.pairs for row in scored if row is not None), None)
            rows.append(Row((Cell(ahead(card, h)), *cells, Cell(count(pairs)))))
    head = ("Lead", *(f.title for f in card.forecasters), "Pairs")
    return Table("WAPE at every lead", head, tuple(rows))


def _least(card: ScoreCard, horizon: int) -> float | None:
    scored: list[Accuracy | None] = [card.accuracy_of(f.key, horizon) for f in card.forecasters]
    return min((row.wape for row in scored if row is not None and row.wape is not None), default=None)


def interval_table(card: ScoreCard) -> Table | None:
    """How sure the skill over each baseline is."""
    rows = [
        Row(
            (
                Cell(card.title(row.baseline)),
                Cell(percent(row.skill, signed=True)),
                Cell(
                    f"{percent(row.low, signed=True)} to {percent(row.high, signed=True)}",
                    is_bad=row.low <= 0,
                ),
                Cell(count(row.blocks)),
            )
        )
        for row in card.intervals
    ]
    if not rows:
        return None
    confidence = percent(card.intervals[0].confidence, 0)
    return Table(
        f"Skill of {card.judged.title} over each baseline, {ahead(card, card.intervals[0].horizon)} ahead",
        ("Baseline", "Skill", f"{confidence} interval", "Blocks"),
        tuple(rows),
        "From a moving-block bootstrap, because neighbouring minutes err together. An interval that reaches "
        "below zero means that the difference may be luck.",
    )


def quantile_table(card: ScoreCard) -> Table | None:
    """Weighted quantile loss per head."""
    keys = list(dict.fromkeys(row.forecaster for row in card.quantile_loss))
    if not keys:
        return None
    found = {(row.forecaster, row.head): row for row in card.quantile_loss}
    rows = []
    for key in keys:
        path, peak = found.get((key, Head.PATH)), found.get((key, Head.PEAK))
        pairs = path or peak
        cells = (
            Cell(card.title(key)),
            Cell(percent(path.wql if path else None, 2)),
            Cell(percent(peak.wql if peak else None, 2)),
            Cell(count(pairs.pairs if pairs else None)),
        )
        rows.append(Row(cells, is_judged=key == card.judged.key))
    return Table(
        "Weighted quantile loss over all levels and leads, as a share of demand",
        ("Forecaster", "Each step", "Peak so far", "Pairs"),
        tuple(rows),
    )


def coverage_table(card: ScoreCard, head: Head) -> Table | None:
    """Kept share per level: calibrated beside the network alone."""
    rows = [row for row in card.coverage if row.head is head]
    if not rows:
        return None
    keys = [f.key for f in card.forecasters if any(row.forecaster == f.key for row in rows)]
    horizons = sorted({row.horizon for row in rows})
    found = {(row.forecaster, row.horizon, row.level): row for row in rows}
    lines = []
    for level in sorted({row.level for row in rows}):
        cells = [Cell(f"{level * 100:g} %")]
        for h in horizons:
            cells += [_coverage_cell(found.get((key, h, level))) for key in keys]
        lines.append(Row(tuple(cells)))
    pairs = sorted({row.pairs for row in rows})
    counted = count(pairs[0]) if len(pairs) == 1 else f"{count(pairs[0])} to {count(pairs[-1])}"
    what = "Demand at each step" if head is Head.PATH else "Peak so far"
    return Table(
        f"{what}: share of outcomes at or below each quantile ({counted} pairs each)",
        ("Promised", *(f"{ahead(card, h)}, {_short(card, key)}" for h in horizons for key in keys)),
        tuple(lines),
        "Calibrated is what is served, raw the network alone. Marked where more than 1 percentage point off.",
    )


def _coverage_cell(row: Coverage | None) -> Cell:
    if row is None or row.coverage is None:
        return Cell(ABSENT)
    return Cell(percent(row.coverage), is_bad=abs(row.coverage - row.level) > 0.01)


def _short(card: ScoreCard, key: str) -> str:
    roles = {f.key: f.role for f in card.forecasters}
    return {Role.MODEL: "calibrated", Role.RAW: "raw"}.get(roles[key], card.title(key))


def alarm_table(card: ScoreCard) -> Table | None:
    """Surges and alarms, counts beside every ratio."""
    if not card.alarms:
        return None
    top = max((row.f1 or 0.0 for row in card.alarms), default=0.0)
    rows = []
    for forecaster in card.forecasters:
        row = card.alarms_of(forecaster.key)
        if row is None:
            continue
        resolved = row.hits + row.false_alarms
        cells = [
            Cell(forecaster.title),
            Cell(_knob(row)),
            Cell(f"{row.caught} / {row.surges}"),
            Cell(percent(row.recall, 0)),
            Cell(f"{row.false_alarms} / {resolved}"),
            Cell(percent(row.false_alarm_ratio, 0)),
            Cell(number(row.f1, 2), is_best=row.f1 is not None and row.f1 == top > 0),
            Cell(duration(row.median_lead_seconds)),
            Cell(count(None if row.wasted_replica_minutes is None else round(row.wasted_replica_minutes))),
            Cell(str(row.pending)),
        ]
        rows.append(_row(forecaster, cells))
    head = (
        "Forecaster",
        "Alarm at",
        "Caught / surges",
        "Recall",
        "False / alarms",
        "False-alarm ratio",
        "F1",
        "Median lead",
        "Wasted replica-min",
        "Pending",
    )
    note = (
        "A surge is a rise of at least 25 % and one replica within 15 minutes over what a reactive scaler "
        "holds; it is caught by an alarm 5 to 20 minutes before. Every forecaster alarms at the level that was "
        "best on the validation span. Pending alarms are in no ratio."
    )
    if card.replicas is not None:
        source = (
            "assumed, so that the training span's 99.9th percentile needs 30" if card.replicas.is_assumed else "given"
        )
        note += f" One replica carries {number(card.replicas.target_per_replica)} {card.series.unit} ({source})."
    return Table("Surges and alarms, in replicas", head, tuple(rows), note)


def _knob(row: AlarmScore) -> str:
    if row.level is not None:
        return level_name(row.level)
    return f"× {row.margin:g}" if row.margin is not None else ABSENT


def threshold_table(card: ScoreCard) -> Table | None:
    """The form in which others publish, where doing nothing scores well."""
    rows = [
        _row(
            forecaster,
            [
                Cell(forecaster.title),
                Cell(f"{count(row.both)} / {count(row.above)}"),
                Cell(percent(row.recall)),
                Cell(f"{count(row.both)} / {count(row.said)}"),
                Cell(percent(row.precision)),
                Cell(count(row.pairs)),
            ],
        )
        for forecaster in card.forecasters
        for row in card.threshold
        if row.forecaster == forecaster.key
    ]
    if not rows:
        return None
    return Table(
        f"Demand {ahead(card, card.model.horizon)} ahead above the trailing 7 days' 90th percentile",
        ("Forecaster", "Right / above", "Recall", "Right / claimed", "Precision", "Pairs"),
        tuple(rows),
        "For comparison with published figures: high demand stays high, so persistence scores well here.",
    )


def shift_table(card: ScoreCard) -> Table | None:
    """Whether a forecast is the present, shifted."""
    rows = [
        _row(
            forecaster,
            [
                Cell(forecaster.title),
                Cell(ahead(card, row.best_shift) if row.best_shift else "0"),
                Cell(number(row.correlation, 2)),
                Cell(number(row.best_correlation, 2)),
                Cell(
                    "repeats the present" if row.repeats_the_present else "looks ahead",
                    is_bad=row.repeats_the_present,
                ),
            ],
        )
        for forecaster in card.forecasters
        for row in card.shift
        if row.forecaster == forecaster.key
    ]
    if not rows:
        return None
    return Table(
        f"Shift test at {ahead(card, card.model.horizon)}",
        ("Forecaster", "Best shift back", "Correlation unshifted", "Correlation at best shift", "Finding"),
        tuple(rows),
        "A forecast that only repeats the present fits demand best when it is moved back by its own lead.",
    )


def facts(card: ScoreCard) -> tuple[tuple[str, str], ...]:
    """The series and how it was judged, as pairs of name and value."""
    series, protocol = card.series, card.protocol
    refits = "one model for the whole span" if protocol.refits == 0 else f"{protocol.refits} rolling refits"
    return (
        ("Series", series.name + (" (synthetic)" if series.is_synthetic else "")),
        ("Labels", ", ".join(f"{key}={value}" for key, value in sorted(series.labels.items())) or "none"),
        ("Unit", series.unit or "not stated"),
        ("Step", duration(series.step_seconds)),
        ("Span (UTC)", f"{instant(series.start)} to {instant(series.end)}"),
        (
            "Samples",
            f"{count(series.samples)}, of which missing {count(series.missing)} ({_missing_share(card)})",
        ),
        ("Test span (UTC)", f"{instant(protocol.start)} to {instant(protocol.end)}"),
        (
            "Origins",
            f"{count(protocol.origins)}, every step one; {protocol.embargo_steps} steps of embargo before",
        ),
        ("Fitting", refits),
    )


def model_facts(card: ScoreCard) -> tuple[tuple[str, str], ...]:
    """The model card."""
    model = card.model
    took = "" if model.training_seconds is None else f" in {duration(model.training_seconds)}"
    kept = "" if model.best_update is None else f"; update {model.best_update} kept"
    origin = " (synthetic)" if model.is_trained_on_synthetic else ""
    return (
        ("Bundle hash", model.hash),
        ("Parameters", count(model.parameters)),
        ("Horizon", f"{model.horizon} steps of {duration(card.series.step_seconds)}"),
        ("Quantile levels", ", ".join(f"{level:g}" for level in model.levels)),
        ("Seasons", ", ".join(duration(season) for season in model.season_seconds) or "none"),
        ("Training window (UTC)", f"{instant(model.trained_from)} to {instant(model.trained_to)}{origin}"),
        ("Trained", f"on {count(model.training_series)} series{took}{kept}"),
        ("Seed", ABSENT if model.seed is None else str(model.seed)),
        ("Code version", model.code_version),
    )


def _missing_share(card: ScoreCard) -> str:
    return percent(card.series.missing / card.series.samples if card.series.samples else None, 2)


def _row(forecaster: Forecaster, cells: list[Cell]) -> Row:
    return Row(tuple(cells), is_judged=forecaster.role is Role.MODEL)
