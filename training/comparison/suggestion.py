"""The spec that a comparison suggests, ready to paste.  Pure."""

from __future__ import annotations

import json

from training.simulator.knobs import Knobs
from training.simulator.study import Case


def suggest(case: Case, knobs: Knobs, *, name: str, query: str | None) -> str | None:
    """A PredictiveAutoscaler and the HPA settings it was judged with, as YAML; None for knobs without a floor.

    It starts in Observe mode: it changes nothing until you say so.
    """
    floor, world = knobs.floor, case.world
    if floor is None:
        return None
    per_replica, planned = world.capacity, floor.target_ratio * world.capacity
    demand = query or "sum(rate(http_requests_total[1m]))  # the query whose history you compared"
    return f"""\
apiVersion: forescale.io/v1alpha1
kind: PredictiveAutoscaler
metadata:
  name: {json.dumps(name)}
spec:
  mode: Observe            # then Active
  actuator: HPAMinReplicas
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {json.dumps(name)}}}
  demand:
    query: {json.dumps(demand) if query else demand}
    stepSeconds: {world.sample_seconds}
  targetPerReplica: {planned:.6g}  # {floor.target_ratio:.1%} of a full replica's {per_replica:.6g}
  quantile: {floor.level:g}
  minReplicas: {knobs.hpa.min_replicas}
  maxReplicas: {world.max_replicas}
  lead: {{startupSeconds: {world.settings.startup_seconds:g}}}
  slo: {{waitSeconds: {world.settings.slo_wait_seconds:g}, violationRatio: {case.target_violation:g}}}
  guardrails:
    scaleDownWindowSeconds: {floor.window_seconds}
    experienceDemand: {case.peak_demand(slice(0, case.test_step)):.6g}
---
# The HPA above that floor: spec.metrics and spec.behavior
metrics:
  - type: External
    external:
      metric: {{name: demand}}
      target: {{type: AverageValue, averageValue: "{knobs.hpa.target_ratio * per_replica:.6g}"}}
behavior:
  scaleDown: {{stabilizationWindowSeconds: {knobs.hpa.stabilization_seconds}}}
"""
