"""What an earlier controller had counted, read back from Prometheus, so that counters go on where they were.

Counters and the instant up to which they count are of one scrape.  What was counted after it is not known any more,
and is counted again by going on from that very instant: nothing twice, nothing lost.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from controller.hpa import ControllerSettings
from controller.live.demand import MetricServer
from controller.live.score import Counts
from controller.live.scoring import PREFIX, Scorekeeper
from controller.resource.resource import Key
from predictor.errors import ForescaleError

log = logging.getLogger("forescale.continuity")

_UNTIL, _SINCE = f"{PREFIX}_scored_until_timestamp_seconds", f"{PREFIX}_scored_since_timestamp_seconds"
_LOOK_BACK = "1d"
_FASTEST_CLOCK_SECONDS = 3600
# The newest of several controllers that have led: the one that had counted farthest.
_QUERY = f'last_over_time({{__name__=~"{PREFIX}_.+_total|{_UNTIL}|{_SINCE}",namespace!="",name!=""}}[{_LOOK_BACK}])'


class Continuity:
    """By resource."""

    def __init__(self, settings: ControllerSettings, found: Mapping[Key, Mapping[str, float]]) -> None:
        self._settings, self._found = settings, dict(found)

    @classmethod
    def read(cls, settings: ControllerSettings, server: MetricServer) -> Continuity:
        """From the metrics that this controller's predecessors exported; without them counting begins anew."""
        try:
            rows = server.at_present(_QUERY)
        except ForescaleError as error:
            log.warning("earlier scores cannot be read, counting begins anew: %s", error)
            return cls(settings, {})
        by_process: dict[tuple[Key, str], dict[str, float]] = {}
        for labels, value in rows:
            # Behind a ServiceMonitor the scraped pod's own namespace has the plain name.
            key = Key(
                labels.get("exported_namespace") or labels["namespace"], labels.get("exported_name") or labels["name"]
            )
            by_process.setdefault((key, labels.get("instance", "")), {})[labels.get("__name__", "")] = value
        best: dict[Key, dict[str, float]] = {}
        for (key, _), values in by_process.items():
            if values.get(_UNTIL, 0.0) > best.get(key, {}).get(_UNTIL, 0.0):
                best[key] = values
        return cls(settings, best)

    def scorekeeper(self, key: Key, created_at: datetime, now: datetime) -> Scorekeeper:
        """One that goes on from what is known of this resource, once; of a new one with an old name nothing is."""
        found = self._found.pop(key, None)
        if found is None or found[_UNTIL] < created_at.timestamp():
            return Scorekeeper(self._settings)
        # Up to an instant that is still to come, time has been counted in advance, by a clock that was fast.  Far
        # ahead it was no clock.
        if found[_UNTIL] - now.timestamp() > _FASTEST_CLOCK_SECONDS:
            return Scorekeeper(self._settings)
        counts = {name.removeprefix(f"{PREFIX}_").removesuffix("_total"): value for name, value in found.items()}
        return Scorekeeper(
            self._settings, counts=Counts.from_mapping(counts), until=found[_UNTIL], since=found.get(_SINCE)
        )
