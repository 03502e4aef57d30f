"""The HPA twin: the arithmetic of the `autoscaling/v2` HorizontalPodAutoscaler controller, step by step.  Pure."""

from controller.hpa.conditions import Condition, Conditions
from controller.hpa.reconcile import HpaMemory, Outcome, reconcile
from controller.hpa.seen import Failed, Phase, Pod, PodValues, Reading, Sample, Seen, Values
from controller.hpa.spec import (
    Behavior,
    ControllerSettings,
    HpaSpec,
    MetricSpec,
    PolicyType,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Source,
    TargetType,
)

__all__ = [
    "Behavior",
    "Condition",
    "Conditions",
    "ControllerSettings",
    "Failed",
    "HpaMemory",
    "HpaSpec",
    "MetricSpec",
    "Outcome",
    "Phase",
    "Pod",
    "PodValues",
    "PolicyType",
    "Reading",
    "Sample",
    "ScalingPolicy",
    "ScalingRules",
    "Seen",
    "SelectPolicy",
    "Source",
    "TargetType",
    "Values",
    "reconcile",
]
