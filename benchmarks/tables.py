"""The forecast benchmark's outcomes as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from benchmarks.outcomes import SIMPLE, Outcome, best_simple, f1, geometric_mean

_INTRODUCTION = """{} traces, {} seeds each; the first 70 % trains and validates, the last 30 % is judged, every minute
an origin, 15 minutes ahead. Printed by `python -m benchmarks.forecast`."""
COVERAGE_GOAL = 0.01
RIVALS = ("lightgbm", "dlinear")
POINT_ALARMS = ("persistence", "mean_5min", "level_adjusted")


def tables(outcomes: Sequence[Outcome]) -> str:
    """All tables, one below the other."""
    by_trace = {name: list(group) for name, group in groupby(outcomes, key=lambda outcome: outcome.trace)}
    seeds = len({outcome.seed for outcome in outcomes})
    return (
        "\n\n".join(
            [
                "# Forecast benchmark",
                _INTRODUCTION.format(len(by_trace), seeds),
                "## Summary",
                _summary(outcomes),
                "## Error 15 minutes ahead (WAPE, mean over seeds)",
                _accuracy(by_trace),
                "## Surges and alarms (counts summed over seeds)",
                _alarms(by_trace),
            ]
        )
        + "\n"
    )


def _summary(outcomes: Sequence[Outcome]) -> str:
    def against(reference: Callable[[Outcome], float]) -> float:
        return geometric_mean(outcome.wape["lstm"] / reference(outcome) for outcome in outcomes)

    ratios = [outcome.wape["lstm"] / best_simple(outcome.wape) for outcome in outcomes]
    worst = outcomes[int(np.argmax(ratios))]
    surges, caught, alarms, false = np.sum([outcome.alarms["lstm"] for outcome in outcomes], axis=0)
    rows = [
        ("WAPE against persistence, geometric mean", f"{against(lambda o: o.wape['persistence']) - 1:+.1%}"),
        ("… against the best simple forecast of each trace", f"{against(lambda o: best_simple(o.wape)) - 1:+.1%}"),
        ("… worst trace, against its best simple forecast", f"{max(ratios):.3f}× ({worst.trace})"),
        ("… against LightGBM quantile, geometric mean", f"{against(lambda o: o.wape['lightgbm']):.3f}×"),
        ("… against DLinear, geometric mean", f"{against(lambda o: o.wape['dlinear']):.3f}×"),
        (
            "Coverage, worst gap of q50–q99 of the 5- and 15-minute peak",
            _coverage_text(outcomes),
        ),
        ("Surges caught, pooled", f"{caught / surges:.2f} ({caught} of {surges})"),
        ("False-alarm ratio, pooled", f"{false / alarms:.2f} ({false} of {alarms})"),
    ]
    return "| figure | measured |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _coverage_text(outcomes: Sequence[Outcome]) -> str:
    worst = max(outcomes, key=lambda outcome: outcome.coverage_gap)
    untied = max(outcomes, key=lambda outcome: outcome.coverage_gap_untied)
    traces = {outcome.trace for outcome in outcomes}
    missed = {outcome.trace for outcome in outcomes if outcome.coverage_gap > COVERAGE_GOAL}
    return (
        f"{100 * worst.coverage_gap:.2f} pp ({worst.trace}); with ties in favour of the promise "
        f"{100 * untied.coverage_gap_untied:.2f} pp ({untied.trace}); at most 1.0 pp on {len(traces - missed)} of "
        f"{len(traces)} traces for every seed; median {100 * np.median([o.coverage_gap for o in outcomes]):.2f} pp; "
        f"network alone up to {100 * max(o.coverage_gap_raw for o in outcomes):.1f} pp"
    )


def _accuracy(by_trace: dict[str, list[Outcome]]) -> str:
    columns = ("lstm", "lstm_raw", *SIMPLE, "seasonal_1d", "damped_trend", *RIVALS)
    lines = [
        "| trace | origins | " + " | ".join(columns) + " | lstm / best simple | worst coverage gap, pp | training s |",
        "|---" * (len(columns) + 5) + "|",
    ]
    for name, group in by_trace.items():
        cells = [
            f"{np.mean([o.wape[column] for o in group]):.4f}" if column in group[0].wape else "–" for column in columns
        ]
        ratio = np.mean([o.wape["lstm"] / best_simple(o.wape) for o in group])
        gap = 100 * max(o.coverage_gap for o in group)
        seconds = np.median([o.seconds["lstm"] for o in group])
        lines.append(
            f"| {name} | {group[0].origins:,} | {' | '.join(cells)} | {ratio:.3f} | {gap:.2f} | {seconds:.0f} |"
        )
    return "\n".join(lines)


def _alarms(by_trace: dict[str, list[Outcome]]) -> str:
    lines = [
        "| trace | surges | caught | recall | alarms | false | false-alarm ratio | F1 | best baseline's F1 |",
        "|---" * 9 + "|",
    ]
    for name, group in by_trace.items():
        surges, caught, alarms, false = (int(n) for n in np.sum([o.alarms["lstm"] for o in group], axis=0))
        best = max((_pooled_f1(group, key), key) for key in POINT_ALARMS if key in group[0].alarms)
        recall = f"{caught / surges:.2f}" if surges else "–"
        ratio = f"{false / alarms:.2f}" if alarms else "–"
        ours = f"{f1((surges, caught, alarms, false)):.2f}" if surges else "–"
        theirs = f"{best[0]:.2f} ({best[1]})" if surges else "–"
        lines.append(f"| {name} | {surges} | {caught} | {recall} | {alarms} | {false} | {ratio} | {ours} | {theirs} |")
    return "\n".join(lines)


def _pooled_f1(group: Sequence[Outcome], key: str) -> float:
    surges, caught, alarms, false = (int(n) for n in np.sum([o.alarms[key] for o in group], axis=0))
    return f1((surges, caught, alarms, false))
