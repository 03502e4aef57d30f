"""Whoever was named hears that a run has ended; nobody else can be made to."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent_service.engine.meters import Meters
from agent_service.engine.settings import EngineSettings
from agent_service.errors import SettingsError
from agent_service.server.settings import ServiceSettings, webhook_hosts_from
from tests.agent_service.server.stores import parts
from tests.agent_service.serving import Options, serving
from tests.servers.apps import listening
from tests.servers.processes import wait_until


class Outcomes(Meters):
    def __init__(self) -> None:
        self.found: list[str] = []

    def webhook(self, outcome: str) -> None:
        self.found.append(outcome)


class Receiver:
    """Answers with these statuses, one after the other."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.got = list(statuses), list[dict[str, Any]]()

    async def receive(self, request: Request) -> Response:
        self.got.append(await request.json())
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response(None, status, {"location": "http://169.254.169.254/"} if status == 302 else {})

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/hook", self.receive, methods=["POST"])])


@pytest.mark.parametrize(
    ("statuses", "outcome", "deliveries"),
    [((200,), "delivered", 1), ((500, 503, 204), "delivered", 3), ((500,), "given_up", 3), ((400,), "given_up", 1),
     ((302,), "given_up", 1)],
)  # fmt: skip
def test_the_end_of_a_run_is_told_and_told_again_where_that_may_help(
    statuses: tuple[int, ...], outcome: str, deliveries: int
) -> None:
    receiver, outcomes = Receiver(*statuses), Outcomes()
    with listening(receiver.app) as hook:
        settings = ServiceSettings(store="memory://", webhook_hosts=(hook.removeprefix("http://"),))
        with serving(parts, Options(settings=settings, meters=outcomes)) as served:
            body = {"assistant_id": "steps", "input": {"done": []}, "webhook": f"{hook}/hook"}
            httpx.post(f"{served.url}/runs/wait", json=body)
            wait_until(lambda: bool(outcomes.found), "the webhook is dealt with")

    assert outcomes.found == [outcome]
    assert len(receiver.got) == deliveries
    assert {told["status"] for told in receiver.got} == {"success"}


def test_a_run_that_never_began_is_told_of_and_one_that_was_rolled_back_is_not() -> None:
    receiver, outcomes = Receiver(200), Outcomes()
    with listening(receiver.app) as hook:
        settings = ServiceSettings(store="memory://", webhook_hosts=(hook.removeprefix("http://"),))
        engine = EngineSettings(slots=1, flush_seconds=0.02)
        with (
            serving(parts, Options(settings=settings, meters=outcomes, engine=engine)) as served,
            httpx.Client(base_url=served.url) as http,
        ):
            slow = {"assistant_id": "steps", "input": {"seconds": 30}, "webhook": f"{hook}/hook"}
            first, second, third = (http.post("/runs", json=slow).json() for _ in range(3))
            for run, action in ((third, "interrupt"), (second, "rollback"), (first, "rollback")):
                http.post(
                    f"/threads/{run['thread_id']}/runs/{run['run_id']}/cancel", params={"wait": "1", "action": action}
                )
            wait_until(lambda: bool(outcomes.found), "the webhook is dealt with")

    assert [told["run_id"] for told in receiver.got] == [third["run_id"]]


@pytest.mark.parametrize("host", ["http://x/y", "x/y", "x y", "x:port"])
def test_a_webhook_host_that_can_match_nothing_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="webhook host"):
        webhook_hosts_from([host], {})

    assert webhook_hosts_from(["Hooks.example:8080", "[::1]:80"], {}) == ("hooks.example:8080", "[::1]:80")


@pytest.mark.parametrize(
    "url", ["http://elsewhere.example/", "file:///etc/passwd", "http:///x", "http://127.0.0.1:1/x"]
)
def test_a_webhook_to_a_place_that_was_not_allowed_is_refused_with_the_run(url: str) -> None:
    settings = ServiceSettings(store="memory://", webhook_hosts=("hooks.example",))
    with serving(parts, Options(settings=settings)) as served:
        answer = httpx.post(f"{served.url}/runs", json={"assistant_id": "steps", "input": {}, "webhook": url})

    assert answer.status_code == 422
    assert "webhook" in answer.json()["detail"]


def test_a_name_that_leads_into_a_private_network_is_not_called() -> None:
    outcomes, receiver = Outcomes(), Receiver(200)
    with listening(receiver.app) as hook:
        port = hook.rpartition(":")[2]
        settings = ServiceSettings(
            store="memory://", webhook_hosts=("localhost",)
        )  # without its port: public, or nothing
        with serving(parts, Options(settings=settings, meters=outcomes)) as served:
            body = {"assistant_id": "steps", "input": {}, "webhook": f"http://localhost:{port}/hook"}
            assert httpx.post(f"{served.url}/runs", json=body).status_code == 200
            wait_until(lambda: bool(outcomes.found), "the webhook is dealt with")

    assert (outcomes.found, receiver.got) == (["refused"], [])
