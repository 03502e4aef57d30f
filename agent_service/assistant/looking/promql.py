"""Which PromQL may be asked: of metrics whose names are allowed, and only as far back as is cheap.  Pure.

Not a parser: a reader of tokens that refuses what it does not know, so that neither a metric's name nor a long range
can hide.  What it lets through may still be no PromQL; Prometheus says so.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

LONGEST_RANGE_SECONDS = 86_400
SHORTEST_STEP_SECONDS = 15
MOST_POINTS = 5000
MOST_SAMPLES = 2_000_000  # read for every series: a range query reads every range again at each of its steps
_LONGEST_QUERY = 2000
_MOST_SUBQUERIES = 1

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\[^`])*`)  # VictoriaMetrics escapes \` alone
    | (?P<duration>(?:\d+(?:ms|[smhdwy]))+)
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:[iI]nf|[nN]a[nN])\b)
    | (?P<name>[a-zA-Z_][a-zA-Z0-9_:]*)
    | (?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){}\[\],=<>@:])
    )""",
    re.VERBOSE,
)
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_OVER_RANGES = frozenset(
    {
        "avg_over_time", "changes", "count_over_time", "delta", "deriv", "increase", "irate", "last_over_time",
        "max_over_time", "min_over_time", "quantile_over_time", "rate", "resets", "sum_over_time",
    }
)  # fmt: skip
_FUNCTIONS = _OVER_RANGES | {
    "abs", "absent", "avg", "bottomk", "ceil", "clamp", "clamp_max", "clamp_min", "count", "exp", "floor", "group",
    "histogram_quantile", "ln", "log10", "log2", "max", "min", "quantile", "round", "scalar", "sort", "sort_desc",
    "sqrt", "stddev", "stdvar", "sum", "time", "timestamp", "topk", "vector",
}  # fmt: skip
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_KEYWORDS = _LISTS | {"and", "or", "unless", "bool"}


class QueryError(ValueError):
    """A query that is not asked; its text says why."""


def metrics_of(query: str, prefixes: tuple[str, ...], *, steps: int = 1) -> tuple[str, ...]:
    """The metrics that a query reads; raises QueryError unless all is allowed, understood and bounded.

    steps: instants at which it is evaluated; more than one for a range query.
    """
    if not query.strip():
        raise QueryError("the query is empty")
    if len(query) > _LONGEST_QUERY:
        raise QueryError(f"the query is longer than {_LONGEST_QUERY} characters")
    reader = _Reader(_tokens(query), prefixes)
    reader.read()
    samples = reader.samples * steps
    if samples > MOST_SAMPLES:
        raise QueryError(
            f"the query reads {samples:.0f} samples of every series, {MOST_SAMPLES} are allowed; "
            "give a shorter range in [ ] or a longer step"
        )
    return tuple(dict.fromkeys(reader.metrics))


@dataclass(slots=True)
class _Group:
    """What stands between round brackets."""

    takes_ranges: bool = False
    samples: float = 0.0  # read for every series, at one instant


class _Reader:
    """Goes through the tokens once."""

    def __init__(self, tokens: list[tuple[str, str]], prefixes: tuple[str, ...]) -> None:
        self._tokens, self._prefixes, self._at = tokens, prefixes, 0
        self._groups = [_Group()]
        self._operand = 0.0  # samples of what was read last: what a range or a subquery multiplies
        self._subqueries = 0
        self.metrics: list[str] = []

    @property
    def samples(self) -> float:
        """Of every series, at one instant."""
        return self._groups[0].samples

    def read(self) -> None:
        """To the end; raises QueryError."""
        while self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind == "name":
                self._name(text)
            elif text == "(":
                self._open(takes_ranges=self._groups[-1].takes_ranges)
            elif text == ")":
                self._close()
            elif text == "[":
                self._range()
            elif text == "@":
                self._instant()
            elif text == "{":
                raise QueryError("a selector needs the metric's name before its braces")
            elif text in ("]", "}", ":"):
                raise QueryError(f"{text} stands where it may not stand")
            elif kind == "string":
                raise QueryError("text stands where no text may stand")
            else:
                self._at += 1
        if len(self._groups) > 1:
            raise QueryError("a ( is never closed")
        if not self.metrics:
            raise QueryError(f"the query reads no metric; allowed are those that begin with {self._allowed}")

    @property
    def _allowed(self) -> str:
        return f"{', '.join(self._prefixes)} (AGENT_METRIC_PREFIXES adds to them)"

    def _text(self, ahead: int) -> str:
        at = self._at + ahead
        return self._tokens[at][1] if 0 <= at < len(self._tokens) else ""

    def _name(self, text: str) -> None:
        following = self._text(1)
        if text in _LISTS:
            self._at = _after_labels(self._tokens, self._at + 1) if following == "(" else self._at + 1
        elif text == "offset":
            self._offset()
        elif text in _FUNCTIONS and following == "(":
            self._at += 1
            self._open(takes_ranges=text in _OVER_RANGES)
        elif text in _KEYWORDS or (text in _FUNCTIONS and following in ("by", "without")):
            self._at += 1
        elif not text.startswith(self._prefixes):
            raise QueryError(f"{text} may not be asked for; allowed are metrics that begin with {self._allowed}")
        else:
            self.metrics.append(text)
            self._add(1)
            self._at = _after_matchers(self._tokens, self._at + 1) if following == "{" else self._at + 1

    def _add(self, samples: float) -> None:
        self._operand = samples
        self._groups[-1].samples += samples

    def _open(self, *, takes_ranges: bool) -> None:
        self._groups.append(_Group(takes_ranges))
        self._at += 1

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise QueryError("a ) closes nothing")
        self._add(self._groups.pop().samples)
        self._at += 1

    def _range(self) -> None:
        """[5m] after a selector, [1h:30s] after anything that is a vector."""
        before = self._tokens[self._at - 1] if self._at else ("sign", "")
        is_subquery = self._text(2) == ":"
        is_selected = before[1] == "}" or (before[0] == "name" and before[1] not in _KEYWORDS)
        if not (is_selected or (is_subquery and before[1] == ")")):
            raise QueryError("a range in [ ] stands only after a metric; a subquery, as [1h:1m], also after a )")
        if not self._groups[-1].takes_ranges:
            raise QueryError("a range in [ ] stands only within a function over time, such as rate or max_over_time")
        seconds = self._bounded(1, "a range")
        if not is_subquery:
            self._end_of_range(2)
            points = seconds / SHORTEST_STEP_SECONDS
        else:
            points = self._subquery(seconds)
        self._groups[-1].samples -= self._operand
        self._add(self._operand * max(points, 1.0))

    def _subquery(self, seconds: float) -> float:
        self._subqueries += 1
        if self._subqueries > _MOST_SUBQUERIES:
            raise QueryError(f"a query may hold {_MOST_SUBQUERIES} subquery, as [1h:1m], no more")
        if self._text(3) == "]":
            raise QueryError(f"a subquery needs its step, {SHORTEST_STEP_SECONDS} s or longer: [1h:1m], not [1h:]")
        step = self._seconds(3)
        if step is None:
            raise QueryError(f"cannot read a subquery's step from {self._text(3)!r} on")
        if not step >= SHORTEST_STEP_SECONDS:
            raise QueryError(f"a subquery's step is {step:g} s; give {SHORTEST_STEP_SECONDS} s or more")
        points = seconds / step
        if points > MOST_POINTS:
            raise QueryError(f"a subquery of {points:.0f} points is longer than {MOST_POINTS}; give a longer step")
        self._end_of_range(4)
        return points

    def _end_of_range(self, ahead: int) -> None:
        if self._text(ahead) != "]":
            raise QueryError(f"cannot read a range from {self._text(ahead)!r} on; ] is missing")
        self._at += ahead + 1

    def _offset(self) -> None:
        """`offset 1h`, `offset -1h`: once, after a selector or a range."""
        before = self._tokens[self._at - 1] if self._at else ("sign", "")
        is_selected = before[1] in ("}", "]") or (before[0] == "name" and before[1] not in _KEYWORDS)
        if not is_selected:
            raise QueryError("offset stands only after a metric or a range, and once")
        ahead = 2 if self._text(1) == "-" else 1
        self._bounded(ahead, "an offset")
        self._at += ahead + 1

    def _instant(self) -> None:
        """An instant of one's own could be any; start() and end() are the query's."""
        if self._text(1) not in ("start", "end") or (self._text(2), self._text(3)) != ("(", ")"):
            raise QueryError("@ may be followed by start() or end() only; give the instant beside the query")
        self._at += 4

    def _bounded(self, ahead: int, what: str) -> float:
        seconds = self._seconds(ahead)
        if seconds is None:
            raise QueryError(f"cannot read {what} from {self._text(ahead)!r} on; write it as 5m or 1h30m")
        if not 0 <= seconds <= LONGEST_RANGE_SECONDS:  # false for NaN as well
            raise QueryError(f"{what} of {seconds:g} s is longer than {LONGEST_RANGE_SECONDS} s")
        return seconds

    def _seconds(self, ahead: int) -> float | None:
        """Of a duration, or of a number, which means seconds."""
        at = self._at + ahead
        kind, text = self._tokens[at] if at < len(self._tokens) else ("", "")
        if kind == "number":
            return float(text)
        if kind == "duration":
            return math.fsum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text))
        return None


def _tokens(query: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    rest = query.rstrip()
    while at < len(rest):
        match = _TOKEN.match(rest, at)
        if match is None or match.lastgroup is None:
            raise QueryError(f"cannot read the query from {rest[at : at + 20]!r} on")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


def _after_labels(tokens: list[tuple[str, str]], at: int) -> int:
    """Past (label, label)."""
    for index in range(at + 1, len(tokens)):
        kind, text = tokens[index]
        if text == ")":
            return index + 1
        if kind != "name" and text != ",":
            break
    raise QueryError("cannot read what follows (")


def _after_matchers(tokens: list[tuple[str, str]], at: int) -> int:
    """Past {label="value", ...}; the name's own label is none."""
    index = at + 1
    while index < len(tokens):
        kind, text = tokens[index]
        if text == "}":
            return index + 1
        if text == ",":
            index += 1
            continue
        signs = tokens[index + 1 : index + 3]
        if kind != "name" or len(signs) < 2 or signs[0][1] not in ("=", "!=", "=~", "!~") or signs[1][0] != "string":
            break
        if text == "__name__":
            raise QueryError("__name__ cannot be matched; write the metric's name")
        index += 3
    raise QueryError("cannot read the matchers of a selector")
