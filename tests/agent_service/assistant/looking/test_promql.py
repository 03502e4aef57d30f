"""Which PromQL may be asked."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.assistant.looking.promql import QueryError, metrics_of

ALLOWED = ("forescale_", "agent_")


@pytest.mark.parametrize(
    ("query", "metrics"),
    [
        ("agent_runs_in_flight", ("agent_runs_in_flight",)),
        ("sum(rate(agent_run_arrivals_total[5m]))", ("agent_run_arrivals_total",)),
        ("sum by (pod, state) (agent_run_queue_depth{state='runnable', pod=~\"a.*\"})", ("agent_run_queue_depth",)),
        ("sum without (pod) (agent_runs_in_flight) / on (a) group_left (b) agent_run_slots",
         ("agent_runs_in_flight", "agent_run_slots")),
        ("histogram_quantile(0.99, sum by (le) (rate(agent_run_duration_seconds_bucket[1h30m])))",
         ("agent_run_duration_seconds_bucket",)),
        ("max_over_time(forescale_demand[1d:5m] offset 1h) > bool 3e2", ("forescale_demand",)),
        ("topk(3, agent_runs_in_flight) or agent_run_slots unless agent_draining == 1",
         ("agent_runs_in_flight", "agent_run_slots", "agent_draining")),
        ("-agent_a ^ 2 % 3 + 1609746000", ("agent_a",)),
        ("agent_a offset 1d - agent_a offset -1d", ("agent_a",)),
        ("rate(agent_a{pod='x'}[24h] offset 24h) + rate(agent_a[86400])", ("agent_a",)),
        ("agent_a @ end() - agent_a @ start()", ("agent_a",)),
        ("max_over_time((rate(agent_a[5m]) / sum by (pod) (agent_b))[1h:15s])", ("agent_a", "agent_b")),
        ("quantile_over_time(0.9, (agent_a[1h]))", ("agent_a",)),
        ("agent_a{b=`c\\d`}", ("agent_a",)),
    ],
)  # fmt: skip
def test_queries_over_allowed_metrics_are_asked(query: str, metrics: tuple[str, ...]) -> None:
    assert metrics_of(query, ALLOWED) == metrics


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "is empty"),
        ("up", "up may not be asked for"),
        ("agent_x + node_memory_bytes", "node_memory_bytes may not"),
        ('{__name__="up"}', "needs the metric's name"),
        ('{__name__=~"agent_.*"}', "needs the metric's name"),
        ('agent_x{__name__="up"}', "__name__ cannot be matched"),
        ("agent_x or {job='secret'}", "needs the metric's name"),
        ("label_replace(agent_x, 'a', '$1', 'b', '(.*)')", "label_replace may not be asked for"),
        ("count_values('v', agent_x)", "count_values may not be asked for"),
        ("sum(sum)", "sum may not be asked for"),
        ("sum by (a, (b)) (agent_x)", "cannot read what follows ("),
        ("sum by (agent_x", "cannot read what follows ("),
        ("agent_x{a='b'", "cannot read the matchers"),
        ("agent_x{a}", "cannot read the matchers"),
        ("agent_x # up", "cannot read the query from"),
        ("agent_x; DROP", "cannot read the query"),
        ("agent_x 'up'", "text stands where no text may stand"),
        ("1 + 1", "reads no metric"),
        ("vector(1)", "reads no metric"),
        ("agent_x{a='\\'} or up{b='", "cannot read"),
        ("agent_" + "x" * 3000, "longer than"),
        ('agent_x{a=`\\`,b="` or __name__=`up`, c=`"}', "cannot read"),
        ("(agent_x", "is never closed"),
        ("agent_x)", "closes nothing"),
        ("agent_x]", "] stands where"),
    ],
)
def test_anything_else_is_refused_in_words(query: str, words: str) -> None:
    with pytest.raises(QueryError, match=re.escape(words)):
        metrics_of(query, ALLOWED)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("max_over_time(agent_x[365d:1s])", "a range of 3.1536e+07 s is longer than 86400 s"),
        ("sum_over_time(agent_x[10y])", "is longer than 86400 s"),
        ("rate(agent_x[24h1ms])", "is longer than 86400 s"),
        ("rate(agent_x[600000000])", "is longer than 86400 s"),
        ("rate(agent_x[1e400])", "is longer than 86400 s"),
        ("rate(agent_x[NaN])", "is longer than 86400 s"),
        ("rate(agent_x[+Inf])", "is longer than 86400 s"),
        ("rate(agent_x[-5m])", "cannot read a range from '-' on; write it as 5m"),
        ("rate(agent_x[5m * 2])", "cannot read a range from '*' on"),
        ("rate(agent_x[5m", "] is missing"),
        ("rate(agent_x[5m] offset 365d)", "an offset of 3.1536e+07 s is longer"),
        ("agent_x offset -365d", "an offset of 3.1536e+07 s is longer"),
        ("agent_x offset 600000000", "an offset of 6e+08 s is longer"),
        ("agent_x offset - (1d)", "cannot read an offset from '(' on"),
        ("agent_x offset agent_y", "cannot read an offset from 'agent_y' on"),
        ("agent_x offset 1d offset 1d", "once"),
        ("(agent_x offset 1d) offset 1d", "offset stands only after a metric"),
        ("agent_x OFFSET 365d", "OFFSET may not be asked for"),
        ("agent_x @ 0", "@ may be followed by start() or end() only"),
        ("agent_x @ -1", "@ may be followed by"),
        ("agent_x @ start(agent_y)", "@ may be followed by"),
        ("max_over_time(agent_x[1h:1s])", "a subquery's step is 1 s; give 15 s or more"),
        ("max_over_time(agent_x[1h:NaN])", "a subquery's step is nan s"),
        ("max_over_time(agent_x[1h:])", "a subquery needs its step"),
        ("max_over_time(agent_x[1h:agent_y])", "cannot read a subquery's step"),
        ("max_over_time(agent_x[1h:1m:1m])", "] is missing"),
        ("max_over_time(agent_x[24h:15s])", "5760 points is longer than 5000"),
        ("avg_over_time(max_over_time(agent_x[1d:1m])[1d:1m])", "1 subquery"),
        ("max_over_time(agent_x[1h:1m]) + max_over_time(agent_y[1h:1m])", "1 subquery"),
        ("agent_x[5m]", "only within a function over time"),
        ("(agent_x[5m])", "only within a function over time"),
        ("sum(agent_x[5m])", "only within a function over time"),
        ("rate(agent_x[5m])[1h:1m]", "only within a function over time"),
        ("max_over_time(rate(agent_x[5m])[1h])", "stands only after a metric"),
        ("max_over_time(agent_x[5m][5m])", "stands only after a metric"),
        ("[5m]", "stands only after a metric"),
        ("max_over_time(rate(agent_x[24h])[24h:30s])", "reads 16588800 samples of every series"),
    ],
)  # fmt: skip
def test_what_reaches_far_back_or_reads_much_is_refused_in_words(query: str, words: str) -> None:
    with pytest.raises(QueryError, match=re.escape(words)):
        metrics_of(query, ALLOWED)


def test_a_range_counts_at_every_step_of_a_range_query() -> None:
    query = "max_over_time(agent_x[24h])"

    assert metrics_of(query, ALLOWED, steps=289) == ("agent_x",)
    with pytest.raises(QueryError, match=r"8294400 samples .* 2000000 are allowed; .* a longer step"):
        metrics_of(query, ALLOWED, steps=1440)


def test_a_subquery_multiplies_only_what_it_stands_behind() -> None:
    beside = "max_over_time(agent_x[24h]) + max_over_time(rate(agent_y[5m])[24h:1m])"

    assert metrics_of(beside, ALLOWED) == ("agent_x", "agent_y")


@given(st.integers(1, 10**6), st.sampled_from(["ms", "s", "m", "h", "d", "w", "y"]))
def test_no_range_over_a_day_is_read(count: int, unit: str) -> None:
    milliseconds = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
    is_short = count * milliseconds.get(unit, 10**12) <= 86_400_000
    for query in (f"rate(agent_x[{count}{unit}])", f"agent_x offset -{count}{unit}"):
        try:
            metrics_of(query, ALLOWED)
        except QueryError:
            assert not is_short
        else:
            assert is_short


@given(st.text(alphabet="abup_{}()[]=~!\"'`\\,:@ agent_x#\n0129.+-*/", max_size=60))
def test_no_text_lets_another_metric_through(text: str) -> None:
    try:
        found = metrics_of(text, ALLOWED)
    except QueryError:
        return
    assert all(metric.startswith(ALLOWED) for metric in found)


SHAPES = [
    "{0}", "agent_x + {0}", "sum({0})", "{0}{{a='b'}}", "rate({0}[5m])", "agent_x or ({0})", "agent_x{{a='b'}}-{0}",
    "agent_x/\t{0}",
]  # fmt: skip


@given(st.sampled_from(["up", "node_cpu", "kube_secret_info"]), st.sampled_from(SHAPES))
def test_a_foreign_metric_is_refused_wherever_it_stands(metric: str, shape: str) -> None:
    with pytest.raises(QueryError):
        metrics_of(shape.format(metric), ALLOWED)
