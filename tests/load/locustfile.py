"""Locust users of the agent service.

    locust -f tests/load/locustfile.py -H http://127.0.0.1:2024 --headless --csv out/run --html out/run.html

Closed loop by default: users in steps up to AGENT_LOAD_USERS (1000) and down again, AGENT_LOAD_STEP_SECONDS (30) each;
scale-in is half of an autoscaler's work.  AGENT_LOAD_SHAPE=open starts AGENT_LOAD_RATE (50) runs a second whatever the
answers do, which alone shows the latency of an overloaded service.  Across machines: --master --expect-workers N, and
--worker --master-host HOST.  Judge by the named rows: `Aggregated` mixes runs with the requests that prepare them.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

from locust import FastHttpUser, LoadTestShape, between, constant_throughput, events, task
from locust.runners import WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

USERS = int(os.environ.get("AGENT_LOAD_USERS", "1000"))
STEPS = int(os.environ.get("AGENT_LOAD_STEPS", "10"))
STEP_SECONDS = float(os.environ.get("AGENT_LOAD_STEP_SECONDS", "30"))
RATE = float(os.environ.get("AGENT_LOAD_RATE", "50"))
GRAPH = os.environ.get("AGENT_LOAD_GRAPH", "operations")
IS_OPEN = os.environ.get("AGENT_LOAD_SHAPE", "steps") == "open"
KEY = os.environ.get("AGENT_API_KEY", "")
QUESTIONS = ("what is the forecast for shop/agent?", "why did you scale shop/agent?", "is it healthy?", "help")

FIRST_TOKEN, WHOLE_STREAM, BACKPRESSURE = "SSE/time_to_first_event", "SSE/stream_total", "429 (backpressure)"


class Asker(FastHttpUser):
    """Half of the questions are waited for, half are streamed."""

    wait_time = constant_throughput(1) if IS_OPEN else between(0.5, 1.5)

    def body(self) -> dict[str, Any]:
        """Of a stateless run."""
        question = {"messages": [{"role": "user", "content": random.choice(QUESTIONS)}]}  # noqa: S311 - no secret
        return {"assistant_id": GRAPH, "input": question}

    @property
    def told(self) -> dict[str, str]:
        """Headers."""
        return {"x-api-key": KEY} if KEY else {}

    @task
    def wait(self) -> None:
        """A run error is a 200: the body says so."""
        with self.client.post("/runs/wait", json=self.body(), headers=self.told, catch_response=True) as answer:
            if answer.status_code == 429:
                answer.failure(BACKPRESSURE)
            elif answer.status_code == 200 and b"__error__" in (answer.content or b""):
                answer.failure("the run failed")

    @task
    def stream(self) -> None:
        """Two events of our own: with `stream=True` Locust's own row ends with the headers."""
        began = time.perf_counter()
        first: float | None = None
        length, failure, has_ended = 0, None, False
        body = {**self.body(), "stream_mode": ["messages-tuple", "updates"]}
        name = "/runs/stream (headers)"
        try:
            for line in self.client.iter_lines("/runs/stream", "POST", json=body, headers=self.told, name=name):
                length += len(line)
                if line.startswith("event: ") and not line.startswith("event: metadata") and first is None:
                    first = time.perf_counter() - began
                if line.startswith("event: error"):
                    failure = "the run failed"
                has_ended = has_ended or line.startswith("event: end")
        except Exception as error:  # of several libraries, without a class in common
            if length == 0:
                return  # refused, or nobody there: Locust's own row has counted it
            failure = f"the stream broke off: {type(error).__name__}"
        if not has_ended:
            failure = failure or "the stream ended without its end event"
        self._fire(FIRST_TOKEN, first if first is not None else 0.0, 0, failure if first is None else None)
        self._fire(WHOLE_STREAM, time.perf_counter() - began, length, failure)

    def _fire(self, name: str, seconds: float, length: int, failure: str | None) -> None:
        self.environment.events.request.fire(
            request_type="SSE",
            name=name,
            response_time=1000 * seconds,
            response_length=length,
            exception=None if failure is None else RuntimeError(failure),
            context={},
        )


class Shape(LoadTestShape):
    """Up in steps, a hold of two steps, down in steps; or as many users as the rate needs, one run a second each."""

    def tick(self) -> tuple[int, float] | None:
        """See Locust."""
        elapsed: float = self.get_run_time()  # type: ignore[no-untyped-call]
        step = int(elapsed // STEP_SECONDS)
        if IS_OPEN:
            return None if step >= 2 * STEPS else (max(1, round(RATE)), RATE)
        height = STEPS - abs(step - STEPS) if step <= STEPS else 2 * STEPS + 1 - step
        if step > 2 * STEPS + 1:
            return None
        users = max(1, round(USERS * max(min(height + 1, STEPS), 0) / STEPS)) if height >= 0 else 0
        return (users, max(10.0, USERS / STEPS)) if users else None


def judge(environment: Any, **_: Any) -> None:
    """Refused runs are what an overloaded service should answer: they do not fail the test, other errors do."""
    if isinstance(environment.runner, WorkerRunner):
        return  # what it saw, the master has, and judges
    errors = environment.stats.errors.values()
    bad = sum(error.occurrences for error in errors if "429" not in str(error.error))
    broken = sum(each["count"] for each in environment.runner.exceptions.values())
    environment.process_exit_code = 1 if bad or broken or not environment.stats.total.num_requests else 0
    # Locust writes its CSV files once an interval and not at the end: without this they lack the last runs.
    time.sleep(2 * CSV_STATS_INTERVAL_SEC)  # of gevent, which Locust puts in its place: the writer goes on


events.quitting.add_listener(judge)  # type: ignore[no-untyped-call]  # published so
