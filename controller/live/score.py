"""What acting brings, or would bring, against the HPA alone: counts over time.  Pure.

Both sides are computed in the same way, from demand and what would have been asked for: the HPA alone by its twin,
with the floor by the higher of twin and floor; pods serve when the start-up time has passed.  So Observe mode and
Active mode mean the same by a number, and a comparison is possible while we act.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from controller.capacity import replicas_for

LONGEST_INTERVAL_SECONDS = 120.0  # a longer one between two looks was not observed


@dataclass(slots=True)
class Counts:
    """Counters; seconds, and replica-seconds."""

    scored_seconds: float = 0.0
    unscored_seconds: float = 0.0
    hpa_replica_seconds: float = 0.0
    forecast_replica_seconds: float = 0.0
    observed_replica_seconds: float = 0.0
    added_replica_seconds: float = 0.0
    hpa_underprovisioned_seconds: float = 0.0
    forecast_underprovisioned_seconds: float = 0.0
    avoided_underprovisioned_seconds: float = 0.0
    hpa_demand_at_risk: float = 0.0
    forecast_demand_at_risk: float = 0.0
    hits: float = 0.0
    false_alarms: float = 0.0
    surges: float = 0.0
    surges_caught: float = 0.0

    @classmethod
    def from_mapping(cls, found: Mapping[str, float]) -> Counts:
        """From exported values by field name; what is missing is 0."""
        return cls(**{field.name: float(found.get(field.name, 0.0)) for field in fields(cls)})

    def as_mapping(self) -> dict[str, float]:
        """By field name."""
        return {name: getattr(self, name) for name in HELP}


HELP = {
    "scored_seconds": "Time that could be compared.",
    "unscored_seconds": "Time without the data to compare.",
    "hpa_replica_seconds": "Replica-seconds that the HPA alone would hold.",
    "forecast_replica_seconds": "Replica-seconds with the forecast's floor.",
    "observed_replica_seconds": "Replica-seconds that were Ready.",
    "added_replica_seconds": "Replica-seconds of the floor above what the HPA alone would hold.",
    "hpa_underprovisioned_seconds": "Time in which the HPA alone would have too few Ready replicas.",
    "forecast_underprovisioned_seconds": "The same with the forecast's floor.",
    "avoided_underprovisioned_seconds": "Time in which only the HPA alone would have too few.",
    "hpa_demand_at_risk": "Demand, times seconds, that arrives while the HPA alone would have too few.",
    "forecast_demand_at_risk": "The same with the forecast's floor.",
    "hits": "Alarms that demand followed.",
    "false_alarms": "Alarms that no demand followed.",
    "surges": "Rises of demand that a reactive scaler meets late.",
    "surges_caught": "Of the surges, those that an alarm foresaw.",
}


def account(
    counts: Counts,
    seconds: float,
    demand: float | None,
    target_per_replica: float,
    *,
    hpa_ready: int | None,
    forecast_ready: int | None,
    observed_ready: int,
) -> None:
    """Add one interval in which all of this held; changes `counts`.  What is not known is not scored."""
    if seconds <= 0:
        return
    if demand is None or hpa_ready is None or forecast_ready is None or seconds > LONGEST_INTERVAL_SECONDS:
        counts.unscored_seconds += seconds
        return
    needed = replicas_for(demand, target_per_replica)
    hpa_short, forecast_short = needed > hpa_ready, needed > forecast_ready
    counts.scored_seconds += seconds
    counts.hpa_replica_seconds += seconds * hpa_ready
    counts.forecast_replica_seconds += seconds * forecast_ready
    counts.observed_replica_seconds += seconds * observed_ready
    counts.added_replica_seconds += seconds * max(forecast_ready - hpa_ready, 0)
    counts.hpa_underprovisioned_seconds += seconds * hpa_short
    counts.forecast_underprovisioned_seconds += seconds * forecast_short
    counts.avoided_underprovisioned_seconds += seconds * (hpa_short and not forecast_short)
    counts.hpa_demand_at_risk += seconds * demand * hpa_short
    counts.forecast_demand_at_risk += seconds * demand * forecast_short
