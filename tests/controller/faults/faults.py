"""What can go wrong around a controller, done to real parts.  Each is a context: wrong inside it, mended after it."""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cluster.workloads import autoscalers, hpas
from tests.controller.live.world import HOME, QUERY, World, a_cautious_autoscaler, an_exact_hpa, shipped_rights
from tests.servers.metric_servers import prometheus_2, running_prometheus
from tests.servers.processes import find_program, wait_until

SKEW_SECONDS = 300
KILLS = 20
_BINDING = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{HOME}-controller"


def mended(make: Callable[[World], Iterator[None]]) -> Callable[[World], AbstractContextManager[None]]:
    """What `make` does after its yield is done in any case: the next test wants a sound world."""

    @contextmanager
    def run(world: World) -> Iterator[None]:
        steps = make(world)
        next(steps)
        try:
            yield
        finally:
            next(steps, None)

    return run


@dataclass(frozen=True, slots=True)
class Fault:
    """One of them: what is done, for how long, and whether the floor has to be given back while it lasts."""

    name: str
    apply: Callable[[World], AbstractContextManager[None]]
    seconds: float
    must_release: bool = False


@mended
def prometheus_down(world: World) -> Iterator[None]:
    """Connections are cut, for the controllers and the forecast server alike."""
    world.metric_gate.turn(target=None)
    yield
    world.metric_gate.turn(target=world.prometheus.process.port)


@mended
def prometheus_slow(world: World) -> Iterator[None]:
    """Every answer takes 30 seconds."""
    world.metric_gate.turn(target=world.prometheus.process.port, delay_seconds=30)
    yield
    world.metric_gate.turn(target=world.prometheus.process.port)


@mended
def prometheus_empty(world: World) -> Iterator[None]:
    """Another server answers, which knows nothing."""
    with running_prometheus(prometheus_2(), world.folder / f"empty-{time.time_ns()}") as empty:
        world.metric_gate.turn(target=empty.process.port)
        yield
        world.metric_gate.turn(target=world.prometheus.process.port)


@mended
def demand_is_nan(world: World) -> Iterator[None]:
    """Samples that are no numbers."""
    world.demand.value = math.nan
    yield
    world.demand.value = None


@mended
def demand_gap(world: World) -> Iterator[None]:
    """No samples at all."""
    world.demand.is_silent = True
    yield
    world.demand.is_silent = False


@mended
def counter_reset(world: World) -> Iterator[None]:
    """Demand is the rate of a counter, which starts again from nothing."""
    path = autoscalers(world.namespace, "agent")
    rate = {"query": "sum by (app) (rate(requests_total[5s]))"}
    world.cluster.admin.merge(path, {"spec": {"demand": rate}})
    time.sleep(3)
    world.demand.reset_counter()
    yield
    world.cluster.admin.merge(path, {"spec": {"demand": {"query": QUERY}}})


@mended
def forecasts_down(world: World) -> Iterator[None]:
    """The forecast server cannot be reached."""
    world.forecast_gate.turn(target=None)
    yield
    world.forecast_gate.turn(target=int(world.forecasts.url.rpartition(":")[2]))


@mended
def forecasts_stuck(world: World) -> Iterator[None]:
    """It takes half a minute to answer, so that the last forecasts grow stale."""
    port = int(world.forecasts.url.rpartition(":")[2])
    world.forecast_gate.turn(target=port, delay_seconds=30)
    yield
    world.forecast_gate.turn(target=port)


@mended
def corrupt_model(world: World) -> Iterator[None]:
    """A damaged bundle is put in place of the one in service, and told to be loaded."""
    network = world.model / "model.onnx"
    sound = network.read_bytes()
    network.write_bytes(sound[: len(sound) // 2])
    told = httpx.post(f"{world.forecasts.url}/v1/models/reload", timeout=30).json()
    assert told["refused"], "the server refuses the damaged bundle"
    yield
    network.write_bytes(sound)
    httpx.post(f"{world.forecasts.url}/v1/models/reload", timeout=30)


def clock_skew(seconds: int) -> Callable[[World], AbstractContextManager[None]]:
    """All controllers' clocks are off, those of everything else are right."""

    @mended
    def skewed(world: World) -> Iterator[None]:
        library = _faketime_library()
        for one in world.controllers:
            one.kill()
            one.environment = {
                "LD_PRELOAD": str(library),
                "FAKETIME": f"{seconds:+d}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DONT_RESET": "1",
            }
            one.start()
        world.leader()
        yield
        for one in world.controllers:
            one.kill()
            one.environment = {}
            one.start()
        world.leader()

    return skewed


def _faketime_library() -> Path:
    program = find_program("faketime", how="apt-get install --no-install-recommends faketime")
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    assert found, f"{program} is here, its library is not"
    return found[0]


@mended
def forbidden(world: World) -> Iterator[None]:
    """The controller's rights are taken away: 403."""
    world.cluster.admin.delete(_BINDING)
    yield
    manifest = next(each for each in shipped_rights() if each["kind"] == "ClusterRoleBinding")
    world.cluster.admin.apply(_BINDING, manifest)


@mended
def conflicts(world: World) -> Iterator[None]:
    """Somebody writes to the HPA all the time: 409."""
    done = threading.Event()
    path = hpas(world.namespace, "agent")

    def write() -> None:
        at = 0
        while not done.wait(0.02):
            at += 1
            with contextlib.suppress(httpx.HTTPError):
                world.cluster.admin.merge(path, {"metadata": {"annotations": {"busy": str(at)}}}, manager="busy")

    thread = threading.Thread(target=write)
    thread.start()
    yield
    done.set()
    thread.join()


@mended
def compaction(world: World) -> Iterator[None]:
    """History is gone, and every watch with it: 410."""
    world.cluster.compact()
    yield


@mended
def api_server_away(world: World) -> Iterator[None]:
    """Nobody answers at its address."""
    world.cluster.stop_api_server()
    yield
    world.cluster.start_api_server()


@mended
def leaders_killed(world: World) -> Iterator[None]:
    """SIGKILL, twenty times, at any moment of a cycle or a write."""
    chance = random.Random(0)  # noqa: S311 - moments, not secrets
    for _ in range(KILLS):
        leader = world.leader()
        time.sleep(chance.uniform(0.0, 1.2))
        leader.kill()
        leader.start()
    yield


@mended
def hpa_recreated(world: World) -> Iterator[None]:
    """The HPA is deleted, and made anew as the user once wrote it."""
    world.cluster.admin.delete(hpas(world.namespace, "agent"))
    time.sleep(1.5)
    world.cluster.admin.create(hpas(world.namespace), an_exact_hpa("agent"))
    yield


@mended
def gitops_reverts(world: World) -> Iterator[None]:
    """Another manager puts the user's minimum back every other second."""
    done = threading.Event()

    def revert() -> None:
        while not done.wait(2.0):
            with contextlib.suppress(httpx.HTTPError):
                path = hpas(world.namespace, "agent")
                world.cluster.admin.merge(path, {"spec": {"minReplicas": 2}}, manager="gitops")

    thread = threading.Thread(target=revert)
    thread.start()
    yield
    done.set()
    thread.join()


FAULTS = (
    Fault("Prometheus down", prometheus_down, 20),
    Fault("Prometheus slow (30 s an answer)", prometheus_slow, 30),
    Fault("Prometheus empty", prometheus_empty, 20),
    Fault("demand is NaN", demand_is_nan, 15),
    Fault("demand gap", demand_gap, 15),
    Fault("counter reset", counter_reset, 10),
    Fault("forecast server down", forecasts_down, 50, must_release=True),
    Fault("forecasts stale (30 s an answer)", forecasts_stuck, 50, must_release=True),
    Fault("model refused as corrupt", corrupt_model, 10),
    Fault("controllers' clocks 5 min fast", clock_skew(SKEW_SECONDS), 15),
    Fault("controllers' clocks 5 min slow", clock_skew(-SKEW_SECONDS), 15),
    Fault("API server says 403", forbidden, 15),
    Fault("API server says 409", conflicts, 15),
    Fault("API server says 410 (compaction)", compaction, 5),
    Fault("API server away for 60 s", api_server_away, 60),
    Fault(f"leader killed {KILLS} times", leaders_killed, 3),
    Fault("HPA deleted and recreated", hpa_recreated, 10),
    Fault("GitOps reverts every 2 s", gitops_reverts, 15),
)


def start(world: World) -> None:
    """A resource of its own for one fault, acting.

    Its lead is fixed: while the API server is away pods take a minute to become Ready, and that would be measured.
    """
    lead = {"type": "Fixed", "startupSeconds": 6, "metricDelaySeconds": 1}
    world.cluster.admin.create(autoscalers(world.namespace), a_cautious_autoscaler(lead=lead))
    try:
        wait_until(lambda: world.is_raised, "a floor is in force", 60)
    except BaseException:
        print(world.autoscaler.get("status"), [one.leads() for one in world.controllers])  # noqa: T201 - says why
        raise
