"""What was measured against what must be, as Markdown.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.controller.watching import Spell

_INTRODUCTION = """# Controller benchmark

Printed by `python -m benchmarks.controller`. The controller is the real command, held to one core, with cycles every
15 s; etcd, API server and HPA controller are real, and so is Prometheus; nodes and pods are simulated. Forecasts come
from a stand-in that answers in the server's own schema (the server's speed: [api.md](api.md)), HPAs read demand through
a stand-in for a metrics adapter. Every other resource has a demand query of its own, the others share one.

A *change* is a floor that is another one on the HPA than before, a status that says something else, or an Event:
counted by watches of the benchmark's own, so that a write without effect is none. *Requests* are all that the audit log
has of the controller, but its watches and its lease.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything measured."""

    resources: int
    pods: int
    spells: list[Spell]
    grown_seconds: float  # the longest cycle while floors were put in force for the first time
    first_seconds: float  # from the start of the process to the end of its first cycle
    peak_megabytes: float
    naive: dict[str, list[float]]  # threads -> seconds of each cycle
    day: dict[str, Any] | None

    def spell(self, name: str) -> Spell:
        """With all resources."""
        return next(each for each in self.spells if each.name == name and each.resources == self.resources)


class Goal(NamedTuple):
    """One line of the summary."""

    what: str
    must: str
    measured: str
    is_met: bool


DAY_GROWTH_MEGABYTES = 2.0  # from noon to midnight, for 100 resources


def goals(found: Found) -> list[Goal]:
    """All of them."""
    quiet, busy = found.spell("quiet"), found.spell("busy")
    slow = p95(quiet.seconds)
    queries = [max(each.queries) for each in found.spells]
    most = max(found.peak_megabytes, *(each.megabytes for each in found.spells))
    listed = [
        Goal("cycle, median", "≤ 5 s (aim 2)", f"{statistics.median(quiet.seconds):.2f} s",
             statistics.median(quiet.seconds) <= 5),
        Goal("cycle, P95", "≤ 5 s", f"{slow:.2f} s", slow <= 5),
        Goal("cycle with 10 % of the floors changing, P95", "≤ 5 s", f"{p95(busy.seconds):.2f} s",
             p95(busy.seconds) <= 5),
        *(
            Goal(f"requests to the API server per change, {each.name} spell", "≤ 1.2",
                 f"{_ratio(each):.2f} ({each.counted} for {each.changed})", _ratio(each) <= 1.2)
            for each in (quiet, busy)
        ),
        Goal("Prometheus queries per cycle", "≤ 10, whatever the number of resources",
             ", ".join(f"{most:g} at {each.resources:,}" for each, most in zip(found.spells, queries, strict=True)),
             max(queries) <= 10),
        Goal("memory of the process, highest", "≤ 300 MB", f"{most:.0f} MB", most <= 300),
        Goal("from start to the end of the first cycle", "≤ 30 s", f"{found.first_seconds:.1f} s",
             found.first_seconds <= 30),
    ]  # fmt: skip
    if found.day is not None:
        grown = day_growth(found.day)
        listed.append(
            Goal("growth of memory in the second half of a simulated day", f"≤ {DAY_GROWTH_MEGABYTES:g} MB",
                 f"{grown:+.1f} MB", grown <= DAY_GROWTH_MEGABYTES)
        )  # fmt: skip
    return listed


def day_growth(day: dict[str, Any]) -> float:
    """Megabytes from noon to midnight."""
    by_hour = {look["hour"]: float(look["megabytes"]) for look in day["looks"]}
    return by_hour[24] - by_hour[12]


def report(found: Found) -> str:
    """All tables."""
    lines = [_INTRODUCTION, f"{found.resources:,} resources, Deployments and HPAs; {found.pods:,} pods at the end.\n"]
    lines += ["| | must | measured | |", "|---|---|---|---|"]
    lines += [
        f"| {each.what} | {each.must} | {each.measured} | {'met' if each.is_met else '**missed**'} |"
        for each in goals(found)
    ]
    lines += ["", *_spells(found), "", *_kinds(found), "", *_naive(found)]
    if found.day is not None:
        lines += ["", *_day(found.day)]
    return "\n".join(lines) + "\n"


def _spells(found: Found) -> list[str]:
    head = [
        "resources",
        "spell",
        "cycles",
        "median, s",
        "P95, s",
        "slowest, s",
        "CPU, s",
        "queries",
        "forecasts",
        "MB",
        "load",
    ]
    rows = [
        (
            f"{each.resources:,}",
            each.name,
            f"{len(each.seconds)}",
            *(f"{value:.2f}" for value in (statistics.median(each.seconds), p95(each.seconds), max(each.seconds))),
            f"{statistics.median(each.cpu):.2f}",
            _span(each.queries),
            _span(each.forecast_requests),
            f"{each.megabytes:.0f}",
            f"{each.load:.1f}",
        )
        for each in found.spells
    ]
    refused = sum(each.failures for each in found.spells)
    beside = (
        f"The longest cycle in which floors were put in force for the first time: {found.grown_seconds:.1f} s. "
        f"Writes refused in all spells: {refused:g}."
    )
    return [
        "## Cycles\n",
        "CPU: of the process from one cycle to the next, watches and two scrapes included. Load: of the machine.\n",
        _row(head),
        _row(["---"] * len(head)),
        *(_row(row) for row in rows),
        "",
        beside,
    ]


def _kinds(found: Found) -> list[str]:
    lines = [
        "## Requests to the API server\n",
        "| resources | spell | changes | requests | not counted |",
        "|---" * 5 + "|",
    ]
    for each in found.spells:
        counted = {kind: count for kind, count in each.requests.items() if kind not in ("watches", "leases")}
        others = {kind: each.requests[kind] for kind in ("watches", "leases")}
        lines.append(
            f"| {each.resources:,} | {each.name} | {_listed(each.changes)} | {_listed(counted)} | {_listed(others)} |"
        )
    return lines


def _naive(found: Found) -> list[str]:
    ours = statistics.median(found.spell("quiet").seconds)
    lines = [
        "## Against the controller that one would write first\n",
        "One GET of the HPA and one query per resource, every cycle; it only reads, on one core, in the same run.\n",
        "| | cycle, s | against ours |",
        "|---|---|---|",
        f"| ours, decisions, score and writes included | {ours:.2f} | 1 |",
    ]
    for threads, seconds in found.naive.items():
        took = statistics.median(seconds)
        lines.append(f"| naive, {threads} thread{'s' if threads != '1' else ''} | {took:.2f} | {took / ours:.1f} |")
    return lines


def _day(day: dict[str, Any]) -> list[str]:
    what = (
        f"The real cycle, records, alarms and metrics, in one process and on a cluster on paper: {day['hours']} hours "
        f"of {day['resources']} resources in {day['seconds']:.0f} s, with {day['alarms']:.0f} alarms, "
        f"{day['surges']:.0f} surges, {day['writes']:,} writes, outages of both servers, reverts, and a resource "
        "replaced every hour.\n"
    )
    lines = ["## A simulated day\n", what, "| hour | MB | allocated blocks |", "|---|---|---|"]
    return [*lines, *(f"| {look['hour']:g} | {look['megabytes']:.1f} | {look['blocks']:,} |" for look in day["looks"])]


def p95(values: Sequence[float]) -> float:
    """The 95th percentile, without interpolation."""
    ordered = sorted(values)
    return ordered[max(-(-95 * len(ordered) // 100) - 1, 0)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(spell: Spell) -> float:
    return spell.counted / max(spell.changed, 1)


def _span(values: Sequence[float]) -> str:
    return f"{min(values):g}" if min(values) == max(values) else f"{min(values):g}–{max(values):g}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()) if count) or "none"
