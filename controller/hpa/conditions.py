"""The HPA's status conditions: what it says of itself.  Frozen, without messages, which have no effect."""

from __future__ import annotations

from typing import NamedTuple

from controller.hpa.spec import Source


class Condition(NamedTuple):
    """Status and reason of one condition."""

    is_true: bool
    reason: str

    @property
    def status(self) -> str:
        """As the API writes it."""
        return "True" if self.is_true else "False"


class Conditions(NamedTuple):
    """One field per condition type; None until it is first set.  What a step does not set keeps its value."""

    able_to_scale: Condition | None = None
    scaling_active: Condition | None = None
    scaling_limited: Condition | None = None
    scaled_to_zero: Condition | None = None

    def by_type(self) -> dict[str, Condition]:
        """Those that are set, under the API's names."""
        named = zip(CONDITION_TYPES, self, strict=True)
        return {name: condition for name, condition in named if condition is not None}


CONDITION_TYPES = ("AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero")

# AbleToScale: the last one set in a step stays.
GOT_SCALE = Condition(True, "SucceededGetScale")
READY_FOR_NEW_SCALE = Condition(True, "ReadyForNewScale")
SCALE_UP_STABILIZED = Condition(True, "ScaleUpStabilized")
SCALE_DOWN_STABILIZED = Condition(True, "ScaleDownStabilized")
RESCALED = Condition(True, "SucceededRescale")

VALID_METRIC = Condition(True, "ValidMetricFound")
SCALING_DISABLED = Condition(False, "ScalingDisabled")
METRIC_FAILED = {source: Condition(False, f"FailedGet{source}Metric") for source in Source}

WITHIN_RANGE = Condition(False, "DesiredWithinRange")
TOO_FEW = Condition(True, "TooFewReplicas")
TOO_MANY = Condition(True, "TooManyReplicas")
UP_LIMIT = Condition(True, "ScaleUpLimit")
DOWN_LIMIT = Condition(True, "ScaleDownLimit")

SCALED_TO_ZERO = Condition(True, "ScaledToZero")
NOT_SCALED_TO_ZERO = Condition(False, "NotScaledToZero")
