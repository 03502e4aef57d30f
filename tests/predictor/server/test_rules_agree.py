"""What Prometheus recomputes from the server's own metrics is what the server says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from predictor.fleet import scoring
from predictor.server.metrics import ServerMetrics, exported_horizons
from predictor.server.rules import recording_rules
from tests.builders import DAY, HORIZON
from tests.predictor.fleet.worlds import MemoryFeed, a_fleet, at, demand_of
from tests.predictor.server.promtool import Questions, promtool_2

STEPS = 200
NOW = 9 * DAY
WINDOW = "5m"  # longer than the test: both sides have seen the same


def test_prometheus_and_the_server_agree_on_errors_and_coverage(model: Path, tmp_path: Path) -> None:
    feed = MemoryFeed({"web": demand_of("web")})
    feed.streams["web"][0][1][NOW + 60 : NOW + 63] = np.nan  # a gap is no pair on either side
    fleet = a_fleet(model, feed, [{"name": "web", "query": "web", "target_per_replica": 20}])
    now = NOW
    metrics = ServerMetrics(lambda: fleet.snapshot, lambda _: None, "0", clock=lambda: at(now))
    found: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}

    for step in range(STEPS):
        now = NOW + step
        fleet.cycle(at(now))  # never warmed: every score is of a forecast made at its time
        for family in metrics.registry.collect():
            for sample in family.samples:
                if sample.name in ("forescale_demand", "forescale_target_per_replica", "forescale_alarm_demand") or (
                    sample.name.startswith("forescale_forecast_") and "horizon_seconds" in sample.labels
                ):
                    key = (sample.name, tuple(sorted(sample.labels.items())))
                    values = found.setdefault(key, [float("nan")] * STEPS)
                    values[step] = sample.value
    demand = found[("forescale_demand", (("workload", "web"),))]
    for step in range(60, 63):
        demand[step] = float("nan")  # the gauge repeats the last sample; its age tells Prometheus that it does

    questions = Questions(1)
    for (name, labels), values in found.items():
        questions.given(name, dict(labels), np.array(values))
    subject = fleet.subjects()["web"]
    accuracy = scoring.accuracy(subject, STEPS, fleet.snapshot.views["web"].trust)
    wape = accuracy.by_horizon[-1]
    assert wape.pairs > 150
    last = STEPS - 1
    mine = f'{{workload="web",horizon_seconds="{HORIZON}",forecaster="model"}}'
    name = "workload_horizon_forecaster:forescale"
    questions.expect(last, f"sum({name}_paired_error:count{WINDOW}{mine})", wape.pairs)
    assert wape.wape is not None
    assert wape.persistence_wape is not None
    questions.expect(last, f"count(abs({name}_wape:ratio{WINDOW}{mine} - {wape.wape!r}) < 1e-5)", 1.0)
    theirs = mine.replace("model", "persistence")
    questions.expect(last, f"count(abs({name}_wape:ratio{WINDOW}{theirs} - {wape.persistence_wape!r}) < 1e-3)", 1.0)
    for row in accuracy.coverage:
        if row.level == pytest.approx(0.5):
            head = "step" if row.head == "path" else "peak"
            labels_ = f'{{workload="web",head="{head}",quantile="0.5"}}'
            covered = "workload_horizon_head_quantile:forescale_covered"
            questions.expect(last, f"sum({covered}:count{WINDOW}{labels_})", row.pairs)
            questions.expect(last, f"sum({covered}:sum{WINDOW}{labels_})", row.covered)
    rules = recording_rules(
        step_seconds=1,
        horizon_seconds=HORIZON,
        score_horizons_seconds=list(exported_horizons(HORIZON)),
        levels=(0.5,),
        window=WINDOW,
    )
    questions.ask(promtool_2(), rules, tmp_path)
