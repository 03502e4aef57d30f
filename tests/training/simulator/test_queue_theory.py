"""Both queue engines against what queueing theory knows in closed form, and against each other.

Times are in mean service times.  Simulated means come with a standard error from the means of consecutive batches,
each many times longer than the queue remembers; a result may be off by four of them, and these may not be wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from predictor.series import FloatArray
from tests.training.simulator.clusters import STEP, a_cluster, one_policy
from training.simulator.queue import FluidQueue, Served
from training.simulator.requests import (
    Outcome,
    RequestOutcomes,
    ServiceLaw,
    ServiceTimes,
    arrival_times,
    serve_requests,
)

NEVER = 1e9  # seconds
BATCHES = 40


def random_requests(
    servers: int,
    load: float,
    count: int,
    *,
    service: ServiceTimes | None = None,
    slots: int = 1,
    timeout_seconds: float = NEVER,
    slo_wait_seconds: float = 0.0,
    seed: int = 0,
) -> RequestOutcomes:
    """About so many Poisson arrivals at a constant number of servers, which a load of 1 fills; steady from early on."""
    cluster = a_cluster(
        capacity_per_replica=slots, timeout_seconds=timeout_seconds, slo_wait_seconds=slo_wait_seconds, seed=seed
    )
    steps = round(count / (load * servers * STEP))
    counts = np.random.default_rng(seed).poisson(load * servers * STEP, steps).astype(np.float64)
    arrivals = arrival_times(counts, cluster)
    times = (service or ServiceTimes(1.0)).draw(len(arrivals), seed)
    return serve_requests(arrivals, times, np.full(steps, servers // slots, dtype=np.int32), cluster, slots=slots)


def assert_mean(values: npt.NDArray[np.generic], expected: float, *, within: float) -> None:
    """Hold the steady mean of consecutive values equal to what is expected, at a precision of `within` of it."""
    size = len(values) // (BATCHES + 1)
    batches = values[size : size * (BATCHES + 1)].reshape(BATCHES, size).mean(axis=1)  # without the first: the warm-up
    four_errors = 4 * float(batches.std(ddof=1)) / math.sqrt(BATCHES)

    assert four_errors <= within * expected, f"4 standard errors are {four_errors / expected:.1%} of {expected:.4g}"
    assert float(batches.mean()) == pytest.approx(expected, abs=four_errors)


def erlang_c(servers: int, load: float) -> float:
    """Probability that a request has to wait in M/M/c."""
    offered, blocked = servers * load, 1.0
    for server in range(1, servers + 1):
        blocked = offered * blocked / (server + offered * blocked)  # Erlang B, recursively
    return blocked / (1 - load * (1 - blocked))


@dataclass(frozen=True)
class Impatient:
    """M/M/c when a request gives up after exactly `timeout` in the queue (M/M/c+D).

    What an arriving request would have to wait, were it patient, rises by an exponential time of rate c with each
    request that stays, and falls by one per second.  Crossings of a level v < timeout balance when its density is
    `arrivals * (c-1 busy) * exp(-(c - arrivals) v)`; beyond, nobody adds to it and it is `exp(-c (v - timeout))` of
    that at the time-out.  Below c busy, probabilities are those of M/M/c, up to the common factor.
    """

    servers: int
    load: float
    timeout: float

    @property
    def _density(self) -> float:
        """At zero, the common factor chosen so that all probabilities add up to one."""
        offered = self.servers * self.load
        states = [offered**busy / math.factorial(busy) for busy in range(self.servers)]
        density = offered * states[-1]
        return density / (sum(states) + density * self._tail(0.0))

    def _tail(self, wait: float) -> float:
        """The density's integral from `wait` on, for a density of 1 at zero."""
        spare = self.servers * (1 - self.load)
        before = math.exp(-spare * self.timeout)
        held = (math.exp(-spare * wait) - before) / spare if spare else self.timeout - wait
        return held + before / self.servers

    def waits_longer(self, wait: float) -> float:
        """Probability of a wait above `wait` < timeout, whether it ends with a slot or by giving up."""
        return self._density * self._tail(wait)

    def gives_up(self) -> float:
        return self._density * self._tail(self.timeout)

    def mean_wait(self) -> float:
        """Over all requests, of which some wait until the time-out."""
        points = np.linspace(0, self.timeout, 20_001)
        return float(np.trapezoid([self.waits_longer(point) for point in points], points))


def pollaczek_khinchine(load: float, variation: float) -> float:
    """Mean wait in M/G/1, in mean service times."""
    return load / (1 - load) * (1 + variation**2) / 2


@pytest.mark.parametrize(
    ("servers", "load", "count", "within"),
    [
        (1, 0.5, 400_000, 0.05),
        (1, 0.8, 800_000, 0.08),
        (1, 0.9, 800_000, 0.15),
        (4, 0.5, 400_000, 0.10),
        (4, 0.8, 800_000, 0.10),
        (4, 0.9, 700_000, 0.15),
        (32, 0.8, 800_000, 0.20),
        (32, 0.9, 1_000_000, 0.20),
    ],
)
def test_waits_are_those_of_erlang_c(servers: int, load: float, count: int, within: float) -> None:
    waits, spare = erlang_c(servers, load), servers * (1 - load)

    wait = random_requests(servers, load, count).wait_seconds

    assert_mean(wait > 0, waits, within=within)
    assert_mean(wait, waits / spare, within=within)
    for share in (0.5, 0.2):  # of those that wait at all
        assert_mean(wait > -math.log(share) / spare, waits * share, within=2 * within)


def test_one_in_3400_waits_at_many_servers_half_used() -> None:
    wait = random_requests(32, 0.5, 1_500_000).wait_seconds

    assert erlang_c(32, 0.5) == pytest.approx(1 / 3436, rel=1e-3)
    assert_mean(wait > 0, erlang_c(32, 0.5), within=0.8)  # and those that do come close together


def test_erlang_c_is_known_at_one_and_two_servers() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(2, 0.75) == pytest.approx(2 * 0.75**2 / (1 + 0.75))


def test_slots_of_replicas_are_servers() -> None:
    wait = random_requests(32, 0.9, 700_000, slots=8, seed=1).wait_seconds

    assert_mean(wait > 0, erlang_c(32, 0.9), within=0.2)
    assert_mean(wait, erlang_c(32, 0.9) / 3.2, within=0.2)


@pytest.mark.parametrize(
    ("load", "count", "within"), [(0.5, 400_000, 0.05), (0.8, 400_000, 0.08), (0.9, 700_000, 0.15)]
)
@pytest.mark.parametrize(
    ("law", "variation"), [(ServiceLaw.DETERMINISTIC, 0.0), (ServiceLaw.LOGNORMAL, 0.5), (ServiceLaw.LOGNORMAL, 1.2)]
)
def test_mean_waits_are_those_of_pollaczek_and_khinchine(
    law: ServiceLaw, variation: float, load: float, count: int, within: float
) -> None:
    service = ServiceTimes(1.0, law, variation)

    wait = random_requests(1, load, count, service=service, seed=2).wait_seconds

    assert_mean(wait > 0, load, within=within)  # whatever the law
    assert_mean(wait, pollaczek_khinchine(load, variation), within=within * max(1.0, 2 * variation))


@pytest.mark.parametrize(
    ("servers", "load", "timeout", "within"),
    [(1, 0.9, 3.0, 0.05), (1, 2.0, 2.0, 0.05), (4, 1.0, 1.0, 0.05), (4, 1.3, 0.5, 0.05), (32, 0.95, 0.1, 0.1)],
)
def test_impatient_requests_wait_and_give_up_as_in_theory(
    servers: int, load: float, timeout: float, within: float
) -> None:
    theory, slo = Impatient(servers, load, timeout), timeout / 2

    result = random_requests(servers, load, 400_000, timeout_seconds=timeout, slo_wait_seconds=slo, seed=3)

    assert_mean(result.outcome == Outcome.TIMED_OUT, theory.gives_up(), within=2 * within)
    assert_mean(result.wait_seconds > 0, theory.waits_longer(0), within=within)
    assert_mean(result.wait_seconds, theory.mean_wait(), within=within)
    assert_mean(result.is_late, theory.waits_longer(slo), within=2 * within)


def test_with_endless_patience_the_impatient_are_those_of_erlang_c() -> None:
    patient = Impatient(8, 0.8, 60.0)

    assert patient.waits_longer(0) == pytest.approx(erlang_c(8, 0.8))
    assert patient.mean_wait() == pytest.approx(erlang_c(8, 0.8) / (8 * 0.2), rel=1e-4)
    assert patient.gives_up() < 1e-30


def per_second(*spans: tuple[float, int]) -> FloatArray:
    """Requests per step: each rate for so many steps."""
    return np.concatenate([np.full(steps, rate * STEP) for rate, steps in spans])


def evenly(requests: FloatArray) -> FloatArray:
    """Instants of whole requests per step at equal distances, (request,)."""
    return np.concatenate([(step + (np.arange(count) + 0.5) / count) * STEP for step, count in enumerate(requests)])


RUSH = per_second((160, 10), (260, 10), (120, 20))
CONSTANT = [20] * 40
SCENARIOS = {
    "a rush at constant replicas": (RUSH, CONSTANT, 60.0),
    "a rush that many give up in": (per_second((160, 10), (400, 10), (120, 20)), CONSTANT, 30.0),
    "replicas that come late": (per_second((160, 10), (260, 30)), [20] * 16 + [32] * 24, 30.0),
    "replicas that come little by little": (per_second((160, 10), (520, 40)), [20] * 16 + [40] * 8 + [60] * 26, 30.0),
    "replicas that are missing for a minute": (per_second((200, 30)), [24] * 10 + [10] * 4 + [30] * 16, 30.0),
    "a moment without replicas": (per_second((200, 20)), [30] * 10 + [0] + [30] * 9, 30.0),
}


def fluid_of(requests: FloatArray, ready: list[int], timeout_seconds: float) -> Served:
    return FluidQueue(a_cluster(timeout_seconds=timeout_seconds), 1).advance(requests, one_policy(ready))


def singly(arrivals: FloatArray, service: ServiceTimes, ready: list[int], timeout_seconds: float) -> RequestOutcomes:
    cluster = a_cluster(timeout_seconds=timeout_seconds)
    times = service.draw(len(arrivals), 0)
    return serve_requests(arrivals, times, np.array(ready, dtype=np.int32), cluster, slots=1)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_many_regular_requests_are_a_fluid(scenario: str) -> None:
    requests, ready, timeout_seconds = SCENARIOS[scenario]
    regular = ServiceTimes.that_fill(a_cluster(), 1, ServiceLaw.DETERMINISTIC)

    fluid = fluid_of(requests, ready, timeout_seconds)
    summary = singly(evenly(requests), regular, ready, timeout_seconds).summary()

    total = requests.sum()
    assert fluid.late.sum() / total == pytest.approx(summary.late_ratio, abs=0.002)
    assert fluid.timed_out.sum() / total == pytest.approx(summary.timed_out / total, abs=0.001)
    assert fluid.backlog[-1, 0] / total == pytest.approx(summary.waiting / total, abs=0.001)
    assert summary.late_ratio > 0.1


def test_random_requests_are_nearly_a_fluid_in_a_rush() -> None:
    requests, ready, timeout_seconds = SCENARIOS["replicas that come late"]
    cluster = a_cluster()

    fluid = fluid_of(requests, ready, timeout_seconds)
    random = singly(arrival_times(requests, cluster), ServiceTimes.that_fill(cluster, 1), ready, timeout_seconds)

    assert fluid.late.sum() / requests.sum() == pytest.approx(random.summary().late_ratio, abs=0.02)


def test_at_constant_replicas_many_regular_requests_wait_as_a_fluid_does() -> None:
    requests, ready, timeout_seconds = SCENARIOS["a rush at constant replicas"]
    regular = ServiceTimes.that_fill(a_cluster(), 1, ServiceLaw.DETERMINISTIC)

    fluid = fluid_of(requests, ready, timeout_seconds)
    result = singly(evenly(requests), regular, ready, timeout_seconds)

    step = (result.arrival_seconds // STEP).astype(np.int64)
    waits = np.bincount(step, result.wait_seconds) / requests
    assert fluid.wait_seconds[:, 0] == pytest.approx(waits, abs=0.06)
    assert waits.max() > 40
