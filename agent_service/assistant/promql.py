"""Which PromQL may be asked: only of metrics whose names are allowed.  Pure.

Not a parser: a reader of tokens that refuses what it does not know, so that a metric's name cannot hide.
"""

from __future__ import annotations

import re

LONGEST_RANGE_SECONDS = 86_400
SHORTEST_STEP_SECONDS = 15
MOST_POINTS = 5000
_LONGEST_QUERY = 2000

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    | (?P<duration>(?:\d+(?:ms|[smhdwy]))+)
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:[iI]nf|[nN]a[nN])\b)
    | (?P<name>[a-zA-Z_][a-zA-Z0-9_:]*)
    | (?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){}\[\],=<>@:])
    )""",
    re.VERBOSE,
)
_FUNCTIONS = frozenset(
    {
        "abs", "absent", "avg", "avg_over_time", "bottomk", "ceil", "changes", "clamp", "clamp_max", "clamp_min",
        "count", "count_over_time", "delta", "deriv", "exp", "floor", "group", "histogram_quantile", "increase",
        "irate", "last_over_time", "ln", "log10", "log2", "max", "max_over_time", "min", "min_over_time", "quantile",
        "quantile_over_time", "rate", "resets", "round", "scalar", "sort", "sort_desc", "sqrt", "stddev", "stdvar",
        "sum", "sum_over_time", "time", "timestamp", "topk", "vector",
    }
)  # fmt: skip
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_KEYWORDS = _LISTS | {"and", "or", "unless", "offset", "bool"}


class QueryError(ValueError):
    """A query that is not asked; its text says why."""


def metrics_of(query: str, prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """The metrics that a query reads; raises QueryError unless every one is allowed and everything is understood."""
    if not query.strip():
        raise QueryError("the query is empty")
    if len(query) > _LONGEST_QUERY:
        raise QueryError(f"the query is longer than {_LONGEST_QUERY} characters")
    tokens = _tokens(query)
    found: list[str] = []
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if kind == "name" and text in _LISTS:
            at = _after(tokens, at + 1, "(", ")") if following == "(" else at + 1
            continue
        if kind == "name" and (text in _KEYWORDS or (text in _FUNCTIONS and following in ("(", "by", "without"))):
            at += 1
            continue
        if kind == "name":
            if not text.startswith(prefixes):
                raise QueryError(
                    f"{text} may not be asked for; allowed are metrics that begin with {_listed(prefixes)}"
                )
            found.append(text)
            at = _after_matchers(tokens, at + 1) if following == "{" else at + 1
            continue
        if text == "{":
            raise QueryError("a selector needs the metric's name before its braces")
        if kind == "string":
            raise QueryError("text stands where no text may stand")
        at += 1
    if not found:
        raise QueryError(f"the query reads no metric; allowed are those that begin with {_listed(prefixes)}")
    return tuple(dict.fromkeys(found))


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


def _after(tokens: list[tuple[str, str]], at: int, opening: str, closing: str) -> int:
    """Past a list of labels."""
    if at >= len(tokens) or tokens[at][1] != opening:
        raise QueryError(f"{opening} is missing")
    for index in range(at + 1, len(tokens)):
        kind, text = tokens[index]
        if text == closing:
            return index + 1
        if kind != "name" and text != ",":
            break
    raise QueryError(f"cannot read what follows {opening}")


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


def _listed(prefixes: tuple[str, ...]) -> str:
    return ", ".join(prefixes)
