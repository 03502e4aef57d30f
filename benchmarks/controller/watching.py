"""Watches a controller work: its own metrics at the end of every cycle, and what has changed in the cluster."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import httpx

from benchmarks.controller.town import NAME, NAMESPACE, Town
from controller.kube import hpas
from controller.kube.api import Json, KubeApi
from controller.kube.reflector import Reflector
from controller.live.cluster import RESOURCES, scoped
from tests.cluster.audit import AuditEvent

_POLL_SECONDS = 0.2
_PREFIX = "forescale_controller_cycle_duration_seconds"


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything that is counted, as it stands at the end of a cycle."""

    at: datetime
    cycles: float
    cycle_seconds: float  # of all cycles
    cpu_seconds: float
    megabytes: float
    failures: float
    queries: float  # that Prometheus answered
    forecast_requests: int
    changes: Counter[str]
    load: float  # of the whole machine, over a minute


class Changes:
    """Counts what became different in the cluster, by watches of its own: a write without effect is no change."""

    def __init__(self, api: KubeApi) -> None:
        self.counts: Counter[str] = Counter()
        self._watches = (
            Reflector(api, scoped(hpas.COLLECTION, NAMESPACE), _lowest, seen=self._floor),
            Reflector(api, scoped(RESOURCES, NAMESPACE), _status, seen=self._status),
            Reflector(api, f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events", _event, seen=self._event),
        )

    def start(self) -> None:
        """Begin."""
        for each in self._watches:
            each.start()

    def stop(self) -> None:
        """End."""
        for each in self._watches:
            each.stop()

    def _floor(self, kind: str, before: int | None, after: int | None) -> None:
        self._count("floors", before is not None and after is not None and before != after)

    def _status(self, kind: str, before: str | None, after: str | None) -> None:
        self._count("statuses", before is not None and after is not None and before != after)

    def _event(self, kind: str, before: str | None, after: str | None) -> None:
        self._count("events", kind == "ADDED" and after is not None)

    def _count(self, what: str, is_one: bool) -> None:
        if is_one:
            self.counts[what] += 1


def _lowest(manifest: Json) -> int:
    return int(manifest["spec"].get("minReplicas", 1))


def _status(manifest: Json) -> str:
    return json.dumps(manifest.get("status") or {}, sort_keys=True)


def _event(manifest: Json) -> str | None:
    return "ours" if manifest.get("reportingController") == "forescale.io/controller" else None


@dataclass(slots=True)
class Watcher:
    """Takes a mark whenever a cycle has ended."""

    town: Town
    changes: Changes
    marks: list[Mark] = field(default_factory=list)
    _age: float | None = None

    def next(self, seconds: float = 120.0) -> Mark:
        """Wait for the end of a cycle."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            age = self._look()
            ended = age is not None and (self._age is None or age < self._age)
            self._age = age
            if ended:
                self.marks.append(self._mark())
                return self.marks[-1]
            time.sleep(_POLL_SECONDS)
        log = self.town.controller.log.read_text()[-2000:]
        raise RuntimeError(f"no cycle ended within {seconds:g} s; the controller says:\n{log}")

    def forget(self) -> None:
        """The controller is started anew."""
        self._age = None

    def _look(self) -> float | None:
        """Seconds since the last cycle; None before the first."""
        try:
            said = httpx.get(f"http://127.0.0.1:{self.town.controller.port}/livez", timeout=30).json()["detail"]
        except httpx.TransportError:
            return None
        words = str(said).split()
        return float(words[2]) if words[:2] == ["last", "cycle"] else None

    def _mark(self) -> Mark:
        ours = values(httpx.get(f"http://127.0.0.1:{self.town.controller.port}/metrics", timeout=30).text)
        theirs = httpx.get(f"{self.town.prometheus.url}/metrics", timeout=30).text
        answered = [
            float(line.rpartition(" ")[2])
            for line in theirs.splitlines()
            if line.startswith("prometheus_http_requests_total") and 'handler="/api/v1/query' in line
        ]
        return Mark(
            at=datetime.now(UTC),
            cycles=ours[f"{_PREFIX}_count"],
            cycle_seconds=ours[f"{_PREFIX}_sum"],
            cpu_seconds=ours["process_cpu_seconds_total"],
            megabytes=ours["process_resident_memory_bytes"] / 1e6,
            failures=ours["forescale_controller_write_failures_total"]
            + ours["forescale_controller_cycle_failures_total"],
            queries=sum(answered),
            forecast_requests=self.town.stage.forecast_requests,
            changes=Counter(self.changes.counts),
            load=os.getloadavg()[0],
        )


def values(text: str) -> dict[str, float]:
    """Metrics without labels."""
    lines = (line for line in text.splitlines() if line and line[0] != "#" and "{" not in line)
    return {line.partition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had."""
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def requests(events: Iterable[AuditEvent], begin: Mark, end: Mark) -> Counter[str]:
    """What the controller asked of the API server between two marks, by what it was for."""
    found: Counter[str] = Counter()
    for each in events:
        is_ours = each.agent.startswith("forescale-controller/") and f"({NAME})" in each.agent
        if is_ours and begin.at < each.at <= end.at:
            found[_kind(each)] += 1
    return found


def _kind(event: AuditEvent) -> str:
    if event.resource == "leases":
        return "leases"
    if event.verb in ("watch", "list"):
        return f"{event.verb}es" if event.verb == "watch" else "lists"
    if event.code == httpx.codes.CONFLICT:
        return "conflicts"
    if event.verb == "get":
        return "reads"
    return "statuses" if event.subresource == "status" else {"horizontalpodautoscalers": "floors"}.get(
        event.resource, event.resource
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spell:
    """Some cycles in a row."""

    name: str
    resources: int
    seconds: tuple[float, ...]  # of each cycle
    cpu: tuple[float, ...]  # seconds from one cycle's end to the next one's
    queries: tuple[float, ...]
    forecast_requests: tuple[float, ...]
    megabytes: float  # the most at the end of a cycle
    failures: float
    changes: Counter[str]
    requests: Counter[str]
    load: float  # of the machine, median

    @property
    def counted(self) -> int:
        """Requests beside watches, lists and leases."""
        return sum(count for kind, count in self.requests.items() if kind not in ("watches", "leases"))

    @property
    def changed(self) -> int:
        """Floors, statuses and events."""
        return sum(self.changes.values())


def a_spell(name: str, resources: int, marks: list[Mark], events: Iterable[AuditEvent]) -> Spell:
    """From consecutive marks, of which the first is the begin."""
    pairs = [(a, b) for a, b in pairwise(marks) if b.cycles > a.cycles]
    each = [b.cycles - a.cycles for a, b in pairs]
    return Spell(
        name,
        resources,
        tuple((b.cycle_seconds - a.cycle_seconds) / n for (a, b), n in zip(pairs, each, strict=True)),
        tuple((b.cpu_seconds - a.cpu_seconds) / n for (a, b), n in zip(pairs, each, strict=True)),
        tuple((b.queries - a.queries) / n for (a, b), n in zip(pairs, each, strict=True)),
        tuple((b.forecast_requests - a.forecast_requests) / n for (a, b), n in zip(pairs, each, strict=True)),
        max(mark.megabytes for mark in marks),
        marks[-1].failures - marks[0].failures,
        marks[-1].changes - marks[0].changes,
        requests(events, marks[0], marks[-1]),
        statistics.median(mark.load for mark in marks),
    )
