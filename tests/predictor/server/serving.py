"""Real servers on free loopback ports, with demand that never ends; a step is a second and a day four minutes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn

from predictor.errors import ForescaleError
from predictor.fleet.feed import Feed
from predictor.fleet.fleet import Fleet
from predictor.prometheus_answer import name_of
from predictor.series import FloatArray, Series
from predictor.server.app import create_app
from predictor.server.command import StoppableServer
from predictor.server.settings import Settings, settings_from
from predictor.server.tokens import Tokens, check_exposure
from tests.builders import DAY
from tests.servers.processes import wait_until

_NOISE = np.random.default_rng(11).normal(0.0, 1.0, 10_007)


def endless(steps: np.ndarray[tuple[int], np.dtype[np.int64]], scale: float = 1.0) -> FloatArray:
    """A daily wave with noise that is the same whenever it is asked for."""
    phase = 2 * np.pi * steps / DAY
    mean = 100 * scale * (1 + 0.6 * np.sin(phase) + 0.25 * np.sin(2 * phase + 1))
    noisy: FloatArray = np.maximum(np.round(mean + np.sqrt(mean.clip(1)) * _NOISE[steps % len(_NOISE)]), 0.0)
    return noisy


@dataclass(slots=True)
class EndlessFeed:
    """Each query gives these apps; failures are by query, "*" for all."""

    apps: tuple[str, ...] = ("web",)
    failing: dict[str, ForescaleError] = field(default_factory=dict)
    is_synthetic: bool = False

    def read(self, query: str, first_step: int, last_step: int, step_seconds: int) -> tuple[Series, ...]:
        error = self.failing.get(query) or self.failing.get("*")
        if error is not None:
            raise error
        start = datetime.fromtimestamp(first_step * step_seconds, UTC)
        steps = np.arange(first_step, last_step + 1)
        return tuple(
            Series(name_of((("app", app),), query), start, step_seconds, endless(steps, 1 + at / 4), {"app": app})
            for at, app in enumerate(self.apps)
        )

    def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class Running:
    """A server that answers."""

    url: str
    fleet: Fleet
    http: httpx.Client
    app: Any

    def wait_until_warm(self) -> None:
        """Until calibration is rebuilt."""
        wait_until(lambda: self.http.get("/v1/workloads").json()["is_warm"] is True, "the replay has caught up", 60)


def settings_of(model: Path, **more: Any) -> Settings:
    """One workload for each app."""
    document: dict[str, Any] = {
        "model": str(model),
        "settle_seconds": 0,
        "workloads": [{"name": "{app}", "query": "demand", "target_per_replica": 20}],
        "server": {"port": 0, "requests_per_minute": 1_000_000},
    }
    return settings_from(document | more, source="test")


@contextmanager
def serving(
    settings: Settings,
    feed: Feed,
    environment: Mapping[str, str] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run the real application in a thread until the block ends."""
    tokens = Tokens.load(settings.server, environment or {})
    check_exposure(settings.server, tokens)
    told: list[str] = []
    with ThreadPoolExecutor(4) as readers:
        fleet = Fleet(settings, feed, readers)
        app = create_app(settings, fleet, tokens)
        config = uvicorn.Config(app, host=settings.server.host, port=0, log_config=None, server_header=False)
        server = StoppableServer(config, before_stop=app.state.context.hub.close, announce=told.append)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_until(lambda: bool(told) or not thread.is_alive(), "the server listens")
            with httpx.Client(base_url=told[0], headers=dict(headers or {}), timeout=30) as client:
                yield Running(told[0], fleet, client, app)
        finally:
            app.state.context.hub.close()
            server.should_exit = True
            thread.join()


def wait_until_ready(running: Running) -> None:
    """Until every query was read."""
    wait_until(lambda: running.http.get("/readyz").status_code == 200, "the server is ready")
