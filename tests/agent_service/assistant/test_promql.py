"""Which PromQL may be asked."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.assistant.promql import QueryError, metrics_of

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
        ("-agent_a ^ 2 % 3 @ 1609746000", ("agent_a",)),
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
    ],
)
def test_anything_else_is_refused_in_words(query: str, words: str) -> None:
    with pytest.raises(QueryError, match=re.escape(words)):
        metrics_of(query, ALLOWED)


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
