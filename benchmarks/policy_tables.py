"""The policy benchmark's Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.policy_cells import GOALS, Cell, mean

INTRODUCTION = (
    "`python -m benchmarks.policy` wrote this.  Capacity is scaled so that the training span's 99.9th percentile needs "
    "30 replicas; violation is the share of requests that wait longer than 2 s.  The LSTM and its placebo run at every "
    "start-up time listed here, the other forecasters only at the one given by `--full`.\n"
)
NAMES = {
    "lstm": "LSTM",
    "level_adjusted": "level-adjusted seasonal",
    "holt_winters": "Holt-Winters",
    "persistence": "persistence",
    "schedule": "HPA + schedule",
}


def tables(cells: list[Cell]) -> str:
    """All tables."""
    startups = sorted({cell.startup_seconds for cell in cells})
    headline = [cell for cell in cells if cell.startup_seconds >= 120] or cells
    parts = [
        "# Policies on real traces\n",
        INTRODUCTION,
        "## Headline (LSTM, start-up 120 and 300 s)\n",
        _headline(headline),
    ]
    for startup in startups:
        some = [cell for cell in cells if cell.startup_seconds == startup]
        parts += [
            f"## Start-up {startup:g} s\n",
            "Gap closed, frontiers in hindsight at 1 / 0.1 / 0.01 %:\n",
            _gaps(some),
        ]
        parts += ["Knobs chosen on the week before, at half of 0.1 %:\n", _frozen(some)]
    return "\n".join(parts)


def _headline(cells: list[Cell]) -> str:
    seasonal = [c for c in cells if c.is_seasonal]
    serving = [c for c in cells if c.trace.startswith("servegen")]
    gaps = [g for c in cells if (g := c.gap("lstm")) is not None]
    above = [g - p for c in cells if (g := c.gap("lstm")) is not None and (p := c.gap("placebo_lstm")) is not None]
    known = [c for c in cells if c.has_seen_the_like]
    unknown = [c for c in cells if not c.has_seen_the_like]
    ratio = sorted(c.frozen["lstm"].violation / c.target for c in known)
    against = [_ratio(c.frozen["lstm"].violation, c.frozen["hpa"].violation) for c in unknown]
    worst = {name: max(c.rechosen[name].violation / c.target for c in cells) for name in ("lstm", "hpa")}
    rows = [
        ("gap closed at 0.1 %, mean over seasonal traces", _mean(_gap_list(seasonal)), "0.55"),
        ("… over all traces", _mean(gaps), "0.40"),
        ("… over `servegen_*`", _mean(_gap_list(serving)), "0.15"),
        ("… lowest of any trace", f"{min(gaps):.2f}" if gaps else "–", "≥ 0"),
        ("… above the placebo's, mean", _mean(above), "0.35"),
        (
            "frozen: violation ÷ target, where the tuning peak is at least half of the test peak",
            f"worst {ratio[-1]:.2f}, median {ratio[len(ratio) // 2]:.2f}, {sum(r <= 2 for r in ratio)} of {len(ratio)} "
            "within 2"
            if ratio
            else "–",
            "≤ 2",
        ),
        (
            "frozen: violation ÷ the HPA's, on every other trace",
            f"worst {max(against):.2f} of {len(against)}" if against else "no such trace",
            "≤ 1.2",
        ),
        (
            "frozen: replica-hours against the HPA's, mean",
            _percent(mean([-c.saving("lstm", c.frozen) for c in cells])),
            "−8 %",
        ),
        ("re-chosen every 6 h: the same", _percent(mean([-c.saving("lstm", c.rechosen) for c in cells])), ""),
        ("re-chosen: violation ÷ target, worst (HPA's worst)", f"{worst['lstm']:.2f} ({worst['hpa']:.2f})", ""),
    ]
    traces, startups = {c.trace for c in cells}, {c.startup_seconds for c in cells}
    count = f"{len(cells)} cells: {len(traces)} traces × {len(startups)} start-up times"
    return _table(("figure", "measured", "must"), rows) + f"\n{count}.\n"


def _gaps(cells: list[Cell]) -> str:
    families = [f for f in cells[0].hindsight if f != "hpa"]
    rows = []
    for cell in sorted(cells, key=lambda c: c.trace):
        hpa = " / ".join("–" if h is None else f"{h / cell.oracle_hours:.2f}" for h in cell.hindsight["hpa"])
        rows.append((cell.trace, hpa, *(_three(cell, family) for family in families if family in cell.hindsight)))
    means = [
        " / ".join(_mean([g for c in cells if (g := c.gap(f, goal)) is not None]) for goal in range(len(GOALS)))
        for f in families
    ]
    rows.append(("**mean**", "", *means))
    titles = [NAMES.get(f, f.replace("placebo_", "placebo: ").replace("_", " ")) for f in families]
    return _table(("trace", "tuned HPA ÷ oracle", *titles), rows)


def _frozen(cells: list[Cell]) -> str:
    rows = []
    for cell in sorted(cells, key=lambda c: c.trace):
        row = [cell.trace, f"{cell.tuning_days:.1f} / {cell.test_days:.1f}", f"{cell.peak_ratio:.2f}"]
        for name in ("hpa_shipped", "hpa", "lstm"):
            run = cell.frozen[name]
            row.append(f"{run.replica_hours:,.0f} h, {run.violation / cell.target:.2f}×")
        row.append(_percent(-cell.saving("lstm", cell.frozen)))
        row.append(f"{cell.frozen['lstm'].no_opinion_ratio:.0%}")
        for name in ("hpa", "lstm"):
            run = cell.rechosen[name]
            row.append(f"{run.replica_hours:,.0f} h, {run.violation / cell.target:.2f}×")
        row.append(_percent(-cell.saving("lstm", cell.rechosen)))
        rows.append(tuple(row))
    head = (
        "trace", "tuning / test days", "tuning peak ÷ test peak", "HPA as shipped", "HPA tuned", "LSTM", "LSTM vs HPA",
        "HPA governs", "HPA re-chosen", "LSTM re-chosen", "LSTM vs HPA, re-chosen",
    )  # fmt: skip
    return _table(head, rows)


def _three(cell: Cell, family: str) -> str:
    return " / ".join("–" if (g := cell.gap(family, goal)) is None else f"{g:.2f}" for goal in range(len(GOALS)))


def _gap_list(cells: Iterable[Cell]) -> list[float]:
    return [g for c in cells if (g := c.gap("lstm")) is not None]


def _ratio(one: float, other: float) -> float:
    """one / other; equal when both are nothing."""
    return 1.0 if one <= 1e-9 and other <= 1e-9 else one / max(other, 1e-9)


def _mean(values: list[float]) -> str:
    found = mean(values)
    return "–" if found is None else f"{found:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f} %".replace("-", "−")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
