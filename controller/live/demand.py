"""Present demand of all workloads, in a number of requests that does not grow with them.

Workloads that share a query are read by it once; different queries travel together, each series labelled with the
query that it comes from.  Everything is evaluated at the metric server's own present: our clock does not matter.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple, Protocol

from controller.resource.resource import Key
from predictor.errors import ForescaleError, InputError, SourceError

log = logging.getLogger("forescale.demand")

_LABEL = "forescale_query"
_MOST_REQUESTS = 8
_RETRY_CYCLES = 20  # a query at fault is tried again after so many readings
Rows = tuple[tuple[Mapping[str, str], float], ...]


class MetricServer(Protocol):
    """What is needed of `predictor.prometheus.Prometheus`; one per thread."""

    def at_present(self, query: str) -> Rows:
        """Labels and value of every series now."""
        ...


class Wanted(NamedTuple):
    """One workload's demand: a query, and which of its series."""

    query: str
    series: tuple[tuple[str, str], ...] = ()  # labels that choose it


class Found(NamedTuple):
    """A demand, or why it is not known; `is_at_fault` when the user has to mend something."""

    demand: float | None
    problem: str = ""
    is_at_fault: bool = False


class DemandReader:
    """Reads; remembers only which queries are at fault, so that they do not spoil the requests of others."""

    def __init__(self, server: MetricServer, executor: Executor) -> None:
        """server: shared by the executor's threads (it keeps one connection per thread itself)."""
        self._server, self._executor = server, executor
        self._faults: dict[str, tuple[str, int]] = {}
        self._readings = 0
        self.requests = 0  # of the last reading

    def read(self, wanted: Mapping[Key, Wanted]) -> dict[Key, Found]:
        """Demand of each workload now."""
        return self._choose(wanted, self._ask(wanted, "{}"))

    def read_peaks(self, wanted: Mapping[Key, Wanted], *, seconds: int, step_seconds: int) -> dict[Key, Found]:
        """Highest demand of each workload over the time that ends now; for a start without memory."""
        return self._choose(wanted, self._ask(wanted, f"max_over_time(({{}})[{seconds}s:{step_seconds}s])"))

    def _ask(self, wanted: Mapping[Key, Wanted], form: str) -> dict[str, Rows | ForescaleError]:
        self._readings += 1
        queries = sorted({each.query for each in wanted.values()})
        self._faults = {
            query: fault for query, fault in self._faults.items() if query in queries and fault[1] > self._readings
        }
        answers: dict[str, Rows | ForescaleError] = {
            query: InputError(message) for query, (message, _) in self._faults.items()
        }
        sound = [query for query in queries if query not in answers]
        parts = [sound[at::_MOST_REQUESTS] for at in range(min(_MOST_REQUESTS, len(sound)))]
        self.requests = len(parts)
        for found in self._executor.map(lambda part: self._ask_together(part, form), parts):
            answers.update(found)
        return answers

    def _ask_together(self, queries: Sequence[str], form: str) -> dict[str, Rows | ForescaleError]:
        """One request; when a query is at fault, halves of it until the culprit stands alone."""
        try:
            rows = self._server.at_present(together(queries, form))
        except InputError as error:
            if len(queries) == 1:
                self._faults[queries[0]] = (str(error), self._readings + _RETRY_CYCLES)
                log.warning("demand cannot be read: %s", error)
                return {queries[0]: error}
            middle = len(queries) // 2
            return self._ask_together(queries[:middle], form) | self._ask_together(queries[middle:], form)
        except SourceError as error:
            return dict.fromkeys(queries, error)
        sorted_out: dict[str, list[tuple[Mapping[str, str], float]]] = {query: [] for query in queries}
        for labels, value in rows:
            at = labels.get(_LABEL, "")
            if at.isdigit() and int(at) < len(queries):
                sorted_out[queries[int(at)]].append((labels, value))
        return {query: tuple(found) for query, found in sorted_out.items()}

    def _choose(self, wanted: Mapping[Key, Wanted], answers: Mapping[str, Rows | ForescaleError]) -> dict[Key, Found]:
        indexes: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], list[float]]] = {}
        found: dict[Key, Found] = {}
        for key, each in wanted.items():
            answer = answers[each.query]
            if isinstance(answer, ForescaleError):
                found[key] = Found(None, str(answer), isinstance(answer, InputError))
                continue
            names = tuple(name for name, _ in each.series)
            at = (each.query, names)
            if at not in indexes:  # once for all workloads that choose by the same labels
                indexes[at] = _by_labels(answer, names)
            found[key] = _only(indexes[at].get(tuple(value for _, value in each.series), []), each)
        return found


def together(queries: Sequence[str], form: str = "{}") -> str:
    """One query for several: each one's series carry its position as a label."""
    closed = [form.format(f"({query}\n)") for query in queries]  # on a line of its own: a comment may end the query
    return " or ".join(f'label_replace({each}, "{_LABEL}", "{at}", "", "")' for at, each in enumerate(closed))


def _by_labels(
    rows: Iterable[tuple[Mapping[str, str], float]], names: Sequence[str]
) -> dict[tuple[str, ...], list[float]]:
    index: dict[tuple[str, ...], list[float]] = {}
    for labels, value in rows:
        index.setdefault(tuple(labels.get(name, "") for name in names), []).append(value)
    return index


def _only(values: Sequence[float], wanted: Wanted) -> Found:
    if not values:
        return Found(None, f"{wanted.query}: no series now" + (f" with {dict(wanted.series)}" if wanted.series else ""))
    if len(values) > 1:
        return Found(
            None,
            f"{wanted.query}: {len(values)} series where one is needed; add them up with sum(...) or choose one with "
            "spec.demand.series",
            is_at_fault=True,
        )
    value = values[0]
    if not math.isfinite(value):
        return Found(None, f"{wanted.query}: gives {value} now; is something divided by 0?")
    if value < 0:
        return Found(None, f"{wanted.query}: gives {value:g} now, and demand is never negative", is_at_fault=True)
    return Found(value)
