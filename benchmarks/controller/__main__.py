"""The controller at many resources, on a real API server with real HPAs, a real Prometheus and simulated pods.

Run it with `python -m benchmarks.controller [--resources 1000] [--cycles 20] [--json FILE] [--out FILE.md]`; it takes a
quarter of an hour and two cores, and needs `make cluster`.  The controller is the real command, held to one core.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.controller.report import Found, goals, report
from benchmarks.controller.town import Progress, Town, a_town
from benchmarks.controller.watching import Changes, Mark, Spell, Watcher, a_spell, peak_megabytes
from controller.kube.api import KubeApi
from tests.controller.live.world import ACCOUNT, HOME

_SMALL, _FEW = (10, 100), 3  # resources, and cycles of them
_SHARE = 0.1  # of the floors, that change in each busy cycle
_SETTLED_SHARE = 0.02  # of the floors, that may still change when measuring begins
_MOST_WAITS = 12
_NAIVE_ROUNDS = 3
Day = Future[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resources", type=int, default=1000)
    parser.add_argument("--cycles", type=int, default=20, help="of the quiet spell; half as many busy ones")
    parser.add_argument("--cycle-seconds", type=float, default=15.0, help="the controller's own setting")
    parser.add_argument("--day-resources", type=int, default=100, help="of the simulated day; 0 leaves it out")
    parser.add_argument("--json", type=Path, help="also write everything measured here")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.with_suffix(".md"))
    chosen = parser.parse_args(arguments)
    say = Progress()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as aside:
        # While few resources need little: the day's memory counts, and not its time.
        day = aside.submit(live_a_day, chosen.day_resources) if chosen.day_resources else None
        with a_town(Path(folder), chosen.cycle_seconds) as town:
            say("the cluster runs")
            found = measure(town, chosen.resources, chosen.cycles, say, day)
    text = report(found)
    print(text)
    chosen.out.write_text(text)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(plain({"goals": [each._asdict() for each in goals(found)], **asdict(found)})))
    return 0


def plain(value: Any) -> Any:
    """The same with text for keys, as JSON wants them."""
    if isinstance(value, dict):
        return {" ".join(key) if isinstance(key, tuple) else str(key): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def measure(town: Town, count: int, cycles: int, say: Progress, day: Day | None) -> Found:
    """From a few resources to all of them, a restart, a quiet spell and a busy one."""
    api = KubeApi.connect(kubeconfig=town.cluster.kubeconfig, agent="watcher")
    changes = Changes(api)
    changes.start()
    watcher = Watcher(town, changes)
    spells: list[Spell] = []
    try:
        town.start()
        watcher.next()
        for size in [each for each in _SMALL if each < count]:
            town.grow(size)
            settle(watcher, size, say)
            spells.append(run(watcher, "quiet", _FEW))
            say(f"{size} resources: measured")
        town.grow(count)
        say(f"{count} resources: made")
        risen = settle(watcher, count, say)
        grown = max(spell_seconds(risen))
        lived = None if day is None else day.result()  # before anything is timed
        say("the simulated day is over")
        assert town.controller.process is not None
        peak = peak_megabytes(town.controller.process.pid)
        town.controller.stop()
        watcher.forget()
        begun = town.start()
        watcher.next()
        first = time.monotonic() - begun
        say(f"first cycle {first:.1f} s after a restart")
        settle(watcher, count, say)
        spells.append(run(watcher, "quiet", cycles))
        say("quiet spell: measured")
        spells.append(run(watcher, "busy", max(cycles // 2, 2), share=_SHARE))
        say("busy spell: measured")
        assert town.controller.process is not None
        peak = max(peak, peak_megabytes(town.controller.process.pid))
        town.controller.stop()
        pods = town.pods()
        naive = run_naive(town, count)
        say("naive controller: measured")
    finally:
        changes.stop()
        api.close()
    return Found(count, pods, spells, grown, first, peak, naive, lived)


def settle(watcher: Watcher, count: int, say: Progress) -> list[Mark]:
    """Cycles until hardly a floor changes any more."""
    marks = [watcher.next()]
    for _ in range(_MOST_WAITS):
        marks.append(watcher.next())
        floors = marks[-1].changes["floors"] - marks[-2].changes["floors"]
        seconds = marks[-1].cycle_seconds - marks[-2].cycle_seconds
        say(f"{count} resources: a cycle of {seconds:.2f} s, {floors} floors changed, {marks[-1].megabytes:.0f} MB")
        if floors <= count * _SETTLED_SHARE and marks[-1].changes["floors"] >= count:
            break
    return marks


def run(watcher: Watcher, name: str, cycles: int, *, share: float = 0.0) -> Spell:
    """So many cycles; in each of them forecasts change for a share of the resources."""
    town = watcher.town
    marks = [watcher.next()]
    for at in range(cycles):
        if share:
            town.raise_share(at, share)
        marks.append(watcher.next())
    return a_spell(name, len(town.names), marks, town.cluster.audit())


def spell_seconds(marks: Sequence[Mark]) -> list[float]:
    """Of each cycle between the marks."""
    return [b.cycle_seconds - a.cycle_seconds for a, b in pairwise(marks)]


def run_naive(town: Town, count: int) -> dict[str, list[float]]:
    """Seconds of each cycle of the naive controller, by its threads."""
    config = town.cluster.kubeconfig_for(ACCOUNT, HOME)
    program = ["taskset", "-c", str(town.cpu), sys.executable, "-m", "benchmarks.controller.naive"]
    command = [*program, str(config), town.prometheus.url, str(count), str(_NAIVE_ROUNDS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def live_a_day(resources: int) -> dict[str, Any]:
    """In a process of its own, while the cluster is made."""
    command = [sys.executable, "-m", "benchmarks.controller.day", str(resources), "24"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
