"""How rules are made, what they do with gauges in odd states, their alerts, and that real servers evaluate them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import yaml

from forescale.mounting import Mount, load
from predictor.errors import InputError
from predictor.server.rules import alert_rules, as_yaml, duration, recording_rules
from predictor.server.rules_command import rules as rules_command
from tests.predictor.server.promtool import Questions, promtool_2, run
from tests.servers.http_stubs import answering
from tests.servers.metric_servers import prometheus_2, prometheus_3, running_prometheus
from tests.servers.processes import wait_until

WEB = {"workload": "web"}
MINUTES = 120
DEMAND = "workload:forescale_demand:max"
SKILL = "workload_horizon:forescale_skill:ratio1h"


def some_rules(*, step_seconds: int = 60, window: str = "1h") -> dict[str, Any]:
    return recording_rules(
        step_seconds=step_seconds,
        horizon_seconds=2 * step_seconds,
        score_horizons_seconds=(2 * step_seconds,),
        levels=(0.5, 0.95),
        window=window,
    )


def with_alerts() -> dict[str, Any]:
    watching = alert_rules(step_seconds=60, horizon_seconds=120, levels=(0.5, 0.95), window="1h")
    return {"groups": [*some_rules()["groups"], *watching["groups"]]}


def constant(value: float, length: int = MINUTES) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.full(length, value)


def forescale_rules(*arguments: str) -> None:
    """`forescale rules` as the command line runs it, with errors let through."""
    mount = Mount("rules", "predictor.server.rules_command:rules", "predictor", "")
    load(mount).main(list(arguments), prog_name="forescale rules", standalone_mode=False)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(500, "500ms"), (30_000, "30s"), (86_370_000, "23h59m30s"), (86_400_000, "1d"), (0, "0s")],
)
def test_durations_are_written_as_prometheus_writes_them(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize("step_seconds", [1, 7, 60, 300, 3600])
def test_promtool_accepts_the_rules_of_any_step(step_seconds: int, tmp_path: Path) -> None:
    document = some_rules(step_seconds=step_seconds, window="1d")
    document["groups"] += alert_rules(step_seconds=step_seconds, horizon_seconds=step_seconds, levels=(0.9, 0.99))[
        "groups"
    ]
    (tmp_path / "rules.yaml").write_text(as_yaml(document))

    checked = run(promtool_2(), ["check", "rules", "--lint-fatal", str(tmp_path / "rules.yaml")])

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_window_holds_a_sample_at_its_left_end() -> None:
    document = some_rules(window="1d")

    steps, _ = (group["rules"] for group in document["groups"])
    need = next(rule["expr"] for rule in steps if rule["record"] == "workload:forescale_need_replicas:mean")

    assert f"sum_over_time({DEMAND}[2m30s]) / count_over_time({DEMAND}[2m30s])" in need


@pytest.mark.parametrize("window", ["1", "d", "1d12h", "0d", "1y", "30s"])
def test_a_window_that_names_cannot_end_with_is_refused(window: str) -> None:
    with pytest.raises(InputError, match="--window"):
        some_rules(window=window)


def test_a_horizon_between_two_steps_is_refused() -> None:
    with pytest.raises(InputError, match="multiple of the step, 60 s"):
        recording_rules(step_seconds=60, horizon_seconds=90, score_horizons_seconds=(60,), levels=(0.5,))


def test_two_servers_of_one_workload_count_once(tmp_path: Path) -> None:
    questions = Questions(60)
    for instance, demand in (("a:8080", 10.0), ("b:8080", 10.0)):
        where = {**WEB, "instance": instance}
        questions.given("forescale_demand", where, constant(demand))
        labels = {**where, "quantile": "0.5", "horizon_seconds": "120"}
        questions.given("forescale_forecast_demand", labels, constant(12.0))

    questions.expect(100, f"{DEMAND} == 10", 10.0, __name__=DEMAND, **WEB)
    questions.expect_near(100, 'workload_horizon_forecaster:forescale_wape:ratio1h{forecaster="model"}', 0.2)
    questions.ask(promtool_2(), some_rules(), tmp_path)


def test_a_forecast_survives_that_the_server_moved_to_another_pod(tmp_path: Path) -> None:
    questions = Questions(60)
    for instance, minutes in (("a:8080", slice(0, 60)), ("b:8080", slice(60, MINUTES))):
        demand, median = constant(np.nan), constant(np.nan)
        demand[minutes], median[minutes] = 10.0, 12.0
        where = {**WEB, "instance": instance}
        questions.given("forescale_demand", where, demand)
        questions.given("forescale_forecast_demand", {**where, "quantile": "0.5", "horizon_seconds": "120"}, median)

    count = 'sum(workload_horizon_forecaster:forescale_error:count1h{forecaster="model"})'
    questions.expect(90, count, 60.0)
    questions.ask(promtool_2(), some_rules(), tmp_path)


def test_demand_that_is_only_repeated_makes_no_pair(tmp_path: Path) -> None:
    questions = Questions(60)
    data_age = constant(5.0)
    data_age[50:53] = [65.0, 125.0, 185.0]  # nothing was observed at 50, 51 and 52
    questions.given("forescale_demand", WEB, constant(10.0))
    questions.given("forescale_data_age_seconds", WEB, data_age)
    questions.given("forescale_forecast_age_seconds", WEB, constant(5.0))

    half = f"last_over_time({DEMAND}[30s])"
    for minute, value in ((49, 10.0), (50, None), (52, None), (53, 10.0)):
        labels = {} if value is None else {"__name__": DEMAND, **WEB}
        questions.expect(minute, half, value, **labels)
    questions.ask(promtool_2(), some_rules(), tmp_path)


def test_a_server_that_hangs_no_longer_observes(tmp_path: Path) -> None:
    questions = Questions(60)
    data_age = np.concatenate([constant(5.0, 50), 5.0 + 60 * np.arange(MINUTES - 50)])
    questions.given("forescale_demand", WEB, constant(10.0))
    questions.given("forescale_data_age_seconds", WEB, data_age)

    count = f"count_over_time({DEMAND}[2h])"
    questions.expect(MINUTES - 1, count, 52.0, **WEB)  # the last two were younger than two steps
    questions.ask(promtool_2(), some_rules(), tmp_path)


def test_nothing_is_said_about_surges_without_a_target(tmp_path: Path) -> None:
    questions = Questions(60)
    questions.given("forescale_demand", WEB, constant(10.0))

    questions.expect(100, "workload:forescale_surge:count1h", None)
    questions.expect(100, "workload:forescale_recall:ratio1h", None)
    questions.expect(100, "workload:forescale_held_replicas:max", None)
    questions.ask(promtool_2(), some_rules(), tmp_path)


def test_a_quiet_workload_has_no_alarm_and_no_ratio(tmp_path: Path) -> None:
    questions = Questions(60)
    questions.given("forescale_demand", WEB, constant(10.0))
    questions.given("forescale_target_per_replica", WEB, constant(2.0))
    questions.given("forescale_alarm_demand", WEB, constant(11.0))

    for count in ("surge:count1h", "surge_caught:sum1h", "alarm:count1h", "alarm_hit:sum1h", "pending_alarms:count"):
        questions.expect(100, f"sum(workload:forescale_{count})", 0.0)
    questions.expect(100, "workload:forescale_recall:ratio1h", None)
    questions.expect(100, "workload:forescale_false_alarm:ratio1h", None)
    questions.ask(promtool_2(), some_rules(), tmp_path)


def test_alerts_fire_for_what_is_wrong_and_for_nothing_else(tmp_path: Path) -> None:
    questions = Questions(60)
    minutes = np.arange(MINUTES)
    wave = 100.0 + minutes % 3  # repeating it is wrong by 2 at most
    trend = 100.0 + minutes
    for workload, demand, median, peak in (
        ("good", trend, trend + 2, trend + 3),
        ("poor", wave, wave + 5, constant(0.0)),
    ):
        where = {"workload": workload}
        questions.given("forescale_demand", where, demand.astype(np.float64))
        questions.given("forescale_forecast_age_seconds", where, constant(5.0))
        for metric, level, values in (
            ("forescale_forecast_demand", "0.5", median),
            ("forescale_forecast_window_max_demand", "0.95", peak),
        ):
            labels = {**where, "quantile": level, "horizon_seconds": "120"}
            questions.given(metric, labels, np.asarray(values, dtype=np.float64))
    questions.given("forescale_demand", {"workload": "silent"}, constant(10.0))
    questions.given("forescale_forecast_age_seconds", {"workload": "late"}, constant(500.0))

    fired = {alert["alert"]: alert for alert in with_alerts()["groups"][2]["rules"]}
    assert set(fired) == {
        "ForescaleForecastStale",
        "ForescaleForecastMissing",
        "ForescaleWorseThanPersistence",
        "ForescaleCoverageOff",
        "ForescaleMostAlarmsFalse",
    }
    now = MINUTES - 1
    questions.expect(now, f"count({SKILL} < 0)", 1.0)
    questions.expect(now, _firing("ForescaleForecastStale"), 1.0, workload="late")
    questions.expect(now, _firing("ForescaleForecastMissing"), 1.0, workload="silent")
    questions.expect(now, _firing("ForescaleWorseThanPersistence"), 1.0, workload="poor")
    questions.expect(now, _firing("ForescaleCoverageOff"), 1.0, workload="poor")
    questions.expect(now, _firing("ForescaleMostAlarmsFalse"), None)
    questions.expect(10, _firing("ForescaleWorseThanPersistence"), None)  # too few pairs yet
    questions.ask(promtool_2(), with_alerts(), tmp_path)


def test_most_alarms_being_false_is_an_alert(tmp_path: Path) -> None:
    questions = Questions(60)
    asked = constant(10.0)
    asked[30::16] = 100.0
    questions.given("forescale_demand", WEB, constant(10.0))
    questions.given("forescale_forecast_age_seconds", WEB, constant(5.0))
    questions.given("forescale_target_per_replica", WEB, constant(2.0))
    questions.given("forescale_alarm_demand", WEB, asked)

    questions.expect(MINUTES - 1, "sum(workload:forescale_alarm_resolved:count1h)", 4.0)
    questions.expect(MINUTES - 1, _firing("ForescaleMostAlarmsFalse"), 1.0, workload="web")
    questions.ask(promtool_2(), with_alerts(), tmp_path)


@pytest.mark.parametrize(
    ("find", "kind"), [(prometheus_2, "prometheus"), (prometheus_3, "prometheus3")], ids=["prometheus2", "prometheus3"]
)
def test_a_real_server_evaluates_every_rule_without_an_error(
    find: Callable[[], Path], kind: str, tmp_path: Path
) -> None:
    document = some_rules(step_seconds=1, window="30s")
    document["groups"] += alert_rules(step_seconds=1, horizon_seconds=2, levels=(0.5, 0.95), window="30s")["groups"]
    (tmp_path / "rules.yaml").write_text(as_yaml(document))
    exposition = "\n".join(
        [
            'forescale_demand{workload="web"} 10',
            'forescale_data_age_seconds{workload="web"} 0.5',
            'forescale_forecast_age_seconds{workload="web"} 0.5',
            'forescale_target_per_replica{workload="web"} 2',
            'forescale_alarm_demand{workload="web"} 30',
            'forescale_forecast_demand{workload="web",quantile="0.5",horizon_seconds="2"} 12',
            'forescale_forecast_window_max_demand{workload="web",quantile="0.95",horizon_seconds="2"} 13',
            "",
        ]
    )
    with answering(exposition.encode(), type_="text/plain; version=0.0.4") as application:
        target = application.url.removeprefix("http://")
        config = (
            f"rule_files: ['{tmp_path / 'rules.yaml'}']\n"
            f"scrape_configs: [{{job_name: forescale, static_configs: [{{targets: ['{target}']}}]}}]"
        )
        with running_prometheus(find(), tmp_path / kind, kind=kind, config=config) as server:

            def answer(path: str, **parameters: str) -> Any:
                return requests.get(f"{server.url}/api/v1/{path}", params=parameters, timeout=10).json()["data"]

            def value_of(query: str) -> float | None:
                found = answer("query", query=query)["result"]
                return float(found[0]["value"][1]) if found else None

            def rules_of_server() -> list[dict[str, Any]]:
                return [rule for group in answer("rules")["groups"] for rule in group["rules"]]

            coverage = 'sum(workload_horizon_head_quantile:forescale_coverage:ratio30s{head="peak"})'
            wape = 'sum(workload_horizon_forecaster:forescale_wape:ratio30s{forecaster="model"})'
            wait_until(lambda: value_of(coverage) == 1, "the peak's coverage is 1")
            wait_until(lambda: value_of(wape) == 0.2, "the error is a fifth")
            wait_until(lambda: value_of("sum(workload:forescale_alarm:count30s)") == 1, "one alarm was raised")
            wait_until(lambda: {rule["health"] for rule in rules_of_server()} == {"ok"}, "every rule is healthy")
            assert len(rules_of_server()) == sum(len(group["rules"]) for group in document["groups"])


def test_the_command_writes_what_prometheus_accepts(tmp_path: Path) -> None:
    forescale_rules("--alerts", "--window", "6h", "--out", str(tmp_path / "rules.yaml"))

    document = yaml.safe_load((tmp_path / "rules.yaml").read_text())
    names = [group["name"] for group in document["groups"]]
    assert names == ["forescale-steps", "forescale-scores-6h", "forescale-alerts"]
    checked = run(promtool_2(), ["check", "rules", str(tmp_path / "rules.yaml")])
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_command_takes_step_and_horizon_from_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "forescale.yaml"
    workload = {"name": "web", "query": "sum(rate(requests_total[5m]))"}
    settings = {"prometheus": {"url": "http://p:9090"}, "model": "model", "step_seconds": 30, "horizon_steps": 12}
    config.write_text(yaml.safe_dump({**settings, "workloads": [workload]}))

    forescale_rules("--config", str(config))

    printed = capsys.readouterr().out
    assert printed.startswith("# forescale rules: step 30 s, horizon 12 steps, window 1d\n")
    assert yaml.safe_load(printed)["groups"][0]["interval"] == "30s"


def test_workloads_of_different_steps_get_no_common_rules(tmp_path: Path) -> None:
    config = tmp_path / "forescale.yaml"
    workloads = [{"name": name, "query": "q", "step_seconds": step} for name, step in (("a", 30), ("b", 60))]
    config.write_text(yaml.safe_dump({"prometheus": {"url": "http://p:9090"}, "model": "m", "workloads": workloads}))

    with pytest.raises(InputError, match="30 s × 15, 60 s × 15"):
        rules_command(config=config)
    rules_command(config=config, step=60, horizon=15, out=tmp_path / "rules.yaml")


def _firing(name: str) -> str:
    return f'max by (workload) (ALERTS{{alertname="{name}",alertstate="firing"}})'
