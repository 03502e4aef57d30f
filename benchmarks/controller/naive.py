"""The controller that one would write first: for every resource, each cycle, one GET of its HPA and one query.

Only reads, and decides nothing.  Run as a process of its own on one core; it prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.controller.town import NAMESPACE
from controller.kube.api import KubeApi
from controller.live.prometheus_pool import PrometheusPool
from predictor.prometheus_access import PrometheusAccess
from tests.cluster.workloads import hpas

_THREADS = (1, 8)


def main() -> int:
    """Cycles, one after the other and with as many threads as ours has."""
    kubeconfig, url, count, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    api, server = KubeApi.connect(kubeconfig=kubeconfig, agent="naive"), PrometheusPool(PrometheusAccess(url))

    def look(at: int) -> float:
        api.get(hpas(NAMESPACE, f"w{at}"))
        ((_, value),) = server.at_present(f'sum(demand{{app="w{at}"}})')
        return value

    found: dict[int, list[float]] = {threads: [] for threads in _THREADS}
    for _ in range(rounds):
        for threads in _THREADS:
            with ThreadPoolExecutor(threads) as executor:
                begun = time.perf_counter()
                list(executor.map(look, range(count)))
                found[threads].append(time.perf_counter() - begun)
    print(json.dumps(found))
    server.close()
    api.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
