"""`status`, `explain` and `crd`: what people read, from a real API server and a real web server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import yaml
from prometheus_client import CollectorRegistry

from controller.live.web import Web
from controller.resource.crd import definition
from forescale.cli import main
from tests.cluster.admin import Json
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import an_autoscaler, autoscalers
from tests.controller.live.rehearsal import Rehearsal, an_answer
from tests.servers.processes import free_port, wait_until

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def installed(cluster: Cluster) -> None:
    crd = definition()
    cluster.admin.apply(f"{DEFINITIONS}/{crd['metadata']['name']}", crd)
    wait_until(lambda: cluster.admin.status_of("GET", "/apis/forescale.io/v1alpha1/predictiveautoscalers") == 200, "")


def a_rehearsal() -> Rehearsal:
    """Demand of 50, a forecast of 150."""
    one = Rehearsal(lead={"type": "Fixed", "startupSeconds": 30})
    one.demand = 50.0
    one.metrics.demand = 50.0
    one.forecasts.answer = an_answer(150, one.now)
    one.pass_time(15)
    return one


def resource(cluster: Cluster, namespace: str) -> Json:
    """One whose status a controller has written."""
    installed(cluster)
    manifest = an_autoscaler("agent")
    made = cluster.admin.create(autoscalers(namespace), manifest)
    status = a_rehearsal().stage.statuses[-1].model_dump(mode="json", by_alias=True, exclude_none=True)
    body = {key: made[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": "agent"}, "status": status}
    return cluster.admin.apply(f"{autoscalers(namespace, 'agent')}/status", body, manager="controller")


def ask(cluster: Cluster, *command: str) -> int:
    return main(["controller", *command, f"--kubeconfig={cluster.kubeconfig}"])


def test_the_definition_is_printed_as_yaml_that_a_cluster_takes(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["controller", "crd"]) == 0

    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed == definition()
    cluster.admin.apply(f"{DEFINITIONS}/{printed['metadata']['name']}", printed)


def test_status_says_what_is_held_and_what_is_not_right(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    resource(cluster, namespace)

    assert ask(cluster, "status", "-n", namespace) == 0

    header, row, *details = capsys.readouterr().out.splitlines()
    assert header.split()[:5] == ["resource", "mode", "ready", "trusted", "floor"]
    cells = row.split()
    assert cells[:5] == [f"{namespace}/agent", "Active", "yes", "yes", "17"]
    assert cells[-1] == "ForecastDemand"
    assert "min; short" in details[0]


def test_status_as_json_is_spec_and_status(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written = resource(cluster, namespace)

    assert ask(cluster, "status", "-n", namespace, "--json") == 0

    (found,) = json.loads(capsys.readouterr().out)
    assert found == {
        "metadata": {"namespace": namespace, "name": "agent"}, "spec": written["spec"], "status": written["status"],
    }  # fmt: skip


def test_a_resource_that_no_controller_has_seen_has_dashes(
    cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    installed(cluster)
    cluster.admin.create(autoscalers(namespace), an_autoscaler("agent", paused=True))

    assert ask(cluster, "status", "-n", namespace) == 0

    assert capsys.readouterr().out.splitlines()[1].split() == [f"{namespace}/agent", "Paused", *["-"] * 6]


def test_without_resources_status_says_so(cluster: Cluster, namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    installed(cluster)

    assert ask(cluster, "status", "-n", namespace) == 0

    assert f"There are no PredictiveAutoscalers in the namespace {namespace}" in capsys.readouterr().out


@pytest.fixture
def rehearsed() -> Iterator[tuple[Rehearsal, str]]:
    """A controller that raised a floor, and had no forecasts in the 40 minutes since; its web server's URL."""
    one = a_rehearsal()
    for _ in range(40):
        one.forecasts.answer = None
        one.pass_time(60)
    probe = lambda: (True, "leads")  # noqa: E731
    web = Web("127.0.0.1", 0, CollectorRegistry(), one.cycle.records, live=probe, ready=probe)
    yield one, f"http://127.0.0.1:{web.port}"
    web.close()


def explain(rehearsed: tuple[Rehearsal, str], *options: str) -> int:
    return main(["controller", "explain", "shop/agent", "--url", rehearsed[1], *options])


def test_explain_shows_the_chain_from_demand_to_floor(
    rehearsed: tuple[Rehearsal, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    then = (rehearsed[0].now - timedelta(seconds=40 * 60)).isoformat()

    assert explain(rehearsed, "--at", then) == 0

    output = capsys.readouterr().out
    assert "shop/agent at 2026-03-02 08:00:15 UTC: floor 17, ForecastDemand" in output
    assert "166.667, the 95.0% quantile, at 10 per replica" in output
    for words in ("demand", "the HPA alone would hold", "planned demand", "the forecast asks for"):
        assert words in output


def test_explain_without_a_time_is_about_now(
    rehearsed: tuple[Rehearsal, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(rehearsed, "--json") == 0

    found = json.loads(capsys.readouterr().out)
    assert found["resource"] == "shop/agent"
    assert found["floor"] is None
    assert not found["hasOpinion"]
    assert found["steps"][0]["rule"] == "plan_capacity"


def test_explain_says_when_nothing_is_known_from_then(
    rehearsed: tuple[Rehearsal, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(rehearsed, "--at", "2020-01-01T00:00:00Z") == 2
    assert "no decision for shop/agent is kept from then" in capsys.readouterr().err
    assert explain(rehearsed, "--at", "yesterday") == 2
    assert "yesterday" in capsys.readouterr().err


def test_explain_says_where_it_looked_for_the_controller(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["controller", "explain", "shop/agent", "--url", f"http://127.0.0.1:{free_port()}"]) == 3
    assert "no controller answers there" in capsys.readouterr().err
    assert ask(cluster, "explain", "shop/agent") == 2
    assert "is the controller's Service forescale/forescale-controller:8081?" in capsys.readouterr().err
    assert ask(cluster, "explain", "shop/agent", "--service", "nonsense") == 2
    assert "give NAMESPACE/NAME:PORT" in capsys.readouterr().err
