"""`forescale agent hotspots`: which node makes the slowest runs slow, from the log alone."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from agent_service.errors import SettingsError

FINISHED = "run_finished"
OUTSIDE = "(outside of nodes)"
QUEUE = "(waiting for a slot or a replica)"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One line of the log."""

    run_id: str
    graph: str
    seconds: float  # in the queue and executing
    parts: dict[str, float]  # node -> seconds, with the queue and what is outside of nodes


@dataclass(frozen=True, slots=True)
class Hotspot:
    """One node among the slowest runs."""

    node: str
    share: float  # of all their time
    slow_mean_seconds: float  # in a slow run
    mean_seconds: float  # in any run
    runs: int  # of the slow ones in which it took time


@dataclass(frozen=True, slots=True)
class Ranking:
    """What the log says."""

    runs: int
    slow_runs: int
    threshold_seconds: float  # the fastest of the slow
    skipped_lines: int
    hotspots: tuple[Hotspot, ...]
    examples: tuple[str, ...]  # the slowest runs


def read_runs(lines: Iterable[str]) -> Iterator[FinishedRun | None]:
    """Finished runs; None for a line that should be one and cannot be read."""
    for line in lines:
        if FINISHED not in line:
            continue
        try:
            told = json.loads(line[line.index("{") :])
            if told.get("event") != FINISHED:
                continue
            nodes = {str(name): float(seconds) for name, seconds in told["nodes_s"].items()}
            took, waited = float(told["duration_s"]), float(told["queue_wait_s"])
            if not all(map(math.isfinite, (took, waited, *nodes.values()))):
                raise ValueError("not finite")
            # Nodes that ran side by side add up to more than the run took.
            outside = max(took - sum(nodes.values()), 0.0)
            parts = {**nodes, OUTSIDE: outside, QUEUE: waited}
            yield FinishedRun(str(told["run_id"]), str(told.get("graph", "")), took + waited, parts)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield None


def rank(found: Iterable[FinishedRun | None], slowest_ratio: float = 0.01) -> Ranking:
    """Nodes by their share of the time of the slowest runs, of which there is at least one; raises SettingsError."""
    runs, skipped = [], 0
    for run in found:
        if run is None:
            skipped += 1
        else:
            runs.append(run)
    if not runs:
        raise SettingsError(
            f"there is no line of a finished run (event {FINISHED!r}, {skipped} unreadable); "
            "take the log of `forescale agent serve --json-logs`"
        )
    runs.sort(key=lambda run: run.seconds, reverse=True)
    slow = runs[: max(1, math.ceil(len(runs) * slowest_ratio))]
    total = sum(sum(run.parts.values()) for run in slow)
    nodes = {node for run in slow for node in run.parts}
    ranked = [
        Hotspot(
            node,
            share=sum(run.parts.get(node, 0.0) for run in slow) / total if total > 0 else 0.0,
            slow_mean_seconds=sum(run.parts.get(node, 0.0) for run in slow) / len(slow),
            mean_seconds=sum(run.parts.get(node, 0.0) for run in runs) / len(runs),
            runs=sum(run.parts.get(node, 0.0) > 0 for run in slow),
        )
        for node in nodes
    ]
    ranked.sort(key=lambda spot: (-spot.share, spot.node))
    examples = tuple(run.run_id for run in slow[:3])
    return Ranking(len(runs), len(slow), slow[-1].seconds, skipped, tuple(ranked), examples)


def hotspots(
    logfile: Annotated[
        Path, typer.Argument(metavar="LOGFILE", help="What `agent serve --json-logs` wrote; - for stdin.")
    ],
    slowest: Annotated[float, typer.Option(min=0.0001, max=1.0, help="Which share of the runs counts as slow.")] = 0.01,
    graph: Annotated[str | None, typer.Option(help="Only runs of this graph.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank nodes by their share of the time of the slowest 1 % of runs.

    Examples:

      forescale agent hotspots agent.log

      kubectl logs deploy/agent | forescale agent hotspots - --slowest 0.05 --json
    """
    if str(logfile) == "-":
        found = rank(_of(graph, read_runs(typer.get_text_stream("stdin"))), slowest)
    else:
        with logfile.open(encoding="utf-8", errors="replace") as lines:
            found = rank(_of(graph, read_runs(lines)), slowest)
    if as_json:
        typer.echo(json.dumps(_as_json(found), indent=2))
    else:
        _print(found)


def _of(graph: str | None, runs: Iterable[FinishedRun | None]) -> Iterator[FinishedRun | None]:
    return (run for run in runs if run is None or graph in (None, run.graph))


def _as_json(found: Ranking) -> dict[str, object]:
    return {
        "runs": found.runs,
        "slow_runs": found.slow_runs,
        "threshold_seconds": found.threshold_seconds,
        "skipped_lines": found.skipped_lines,
        "slowest_run_ids": list(found.examples),
        "hotspots": [
            {
                "node": spot.node,
                "share": spot.share,
                "slow_mean_seconds": spot.slow_mean_seconds,
                "mean_seconds": spot.mean_seconds,
                "slow_runs": spot.runs,
            }
            for spot in found.hotspots
        ],
    }


def _print(found: Ranking) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(f"The slowest {found.slow_runs} of {found.runs} runs took {found.threshold_seconds:.3f} s or more.")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column, where in (
        ("node", "left"),
        ("share", "right"),
        ("in slow runs", "right"),
        ("in all", "right"),
        ("", "left"),
    ):
        table.add_column(column, justify=where)  # type: ignore[arg-type]  # words that were checked
    for spot in found.hotspots:
        bar = "█" * round(spot.share * 30)
        slow, usual = f"{spot.slow_mean_seconds:.3f} s", f"{spot.mean_seconds:.3f} s"
        table.add_row(Text(spot.node), f"{spot.share:.1%}", slow, usual, bar)
    console.print(table)
    console.print(f"Slowest: {', '.join(found.examples)}", markup=False)
    if found.skipped_lines:
        console.print(f"{found.skipped_lines} lines could not be read.")
