"""Which metrics a PromQL query names, and which of them it takes a rate of.  Pure.

Not a parser: the server is the one to refuse bad PromQL.  It only has to tell `sum(x_total)` from
`sum(rate(x_total[5m]))`, for Prometheus and for VictoriaMetrics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
    r"""|(?P<comment>\#[^\n]*)"""
    r"""|(?P<window>\[[^\]]*\])"""
    r"""|(?P<labels>\{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^}"'`])*\})"""
    r"""|(?P<number>\d[\w.]*)"""
    r"""|(?P<word>[A-Za-z_:][\w:.]*)"""
    r"""|(?P<sign>[()])"""
)
_NAME_IN_LABELS = re.compile(r"""__name__\s*=\s*["'`]([^"'`]+)["'`]|[{,]\s*["']([^"']+)["']\s*[,}]""")
_NUMBERED = frozenset({"inf", "nan"})
_BEFORE_LABELS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_OPERATORS = frozenset(
    {"and", "or", "unless", "bool", "offset", "atan2", "default", "if", "ifnot", "keep_metric_names"}
)
# What makes something else of a counter than its ever rising value.
_TAMED_BY = re.compile(r"rate|increase|deriv|delta|changes|resets|count|absent|present|group|timestamp|lag|lifetime")
_COUNTER_ENDINGS = ("_total", "_count", "_sum", "_bucket")  # by Prometheus' own naming rules


@dataclass(frozen=True, slots=True)
class MetricUse:
    """A metric as a query uses it."""

    name: str
    is_rated: bool  # inside rate(), increase(), count() or another function that undoes the ever rising

    @property
    def looks_like_counter(self) -> bool:
        """Whether its name says that it is a counter.  Recording rules (with colons) are named for what they hold."""
        return ":" not in self.name and self.name.endswith(_COUNTER_ENDINGS)


def repeats_last_sample(query: str) -> bool:
    """Whether `query` reads metrics without a window.

    A server then repeats a metric's last sample for five minutes (VictoriaMetrics: about one scrape interval), and
    gaps shorter than that do not show.
    """
    return not any(match.lastgroup == "window" for match in _TOKEN.finditer(query))


def find_metrics(query: str) -> tuple[MetricUse, ...]:
    """Every metric that `query` names, in order and without repeats."""
    tokens = [(str(match.lastgroup), match.group()) for match in _TOKEN.finditer(query)]
    tokens = [token for token in tokens if token[0] not in ("comment", "text", "number", "window")]
    found: dict[MetricUse, None] = {}
    around: list[str] = []  # the functions whose brackets are open
    function, is_label_list = "", False
    for position, (kind, text) in enumerate(tokens):
        following = tokens[position + 1][1] if position + 1 < len(tokens) else ""
        is_rated = any(_TAMED_BY.search(name) for name in around)
        if kind == "sign" and text == "(":
            around.append("by" if is_label_list else function)
            if not is_label_list:
                function = ""  # but `sum by (x) (...)` keeps its function for the second bracket
            is_label_list = False
        elif kind == "sign":
            if around:
                around.pop()
        elif kind == "labels":
            for pair in _NAME_IN_LABELS.findall(text):
                found[MetricUse(pair[0] or pair[1], is_rated)] = None
        elif around and around[-1] == "by":
            continue
        elif text.lower() in _BEFORE_LABELS:
            is_label_list = following == "("
        elif text.lower() in _OPERATORS | _NUMBERED:
            continue
        elif following == "(" or following.lower() in ("by", "without"):
            function = text.lower()
        else:
            found[MetricUse(text, is_rated)] = None
    return tuple(found)
