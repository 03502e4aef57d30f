"""Names and the common base of the resource's types.  Pure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

GROUP = "forescale.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "PredictiveAutoscaler"
PLURAL = "predictiveautoscalers"


class Part(BaseModel):
    """Frozen; camelCase outside, as Kubernetes has it.

    Unknown fields are ignored when reading: the API server has refused or pruned them, or is newer than we are.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


def rule(expression: str, message: str, *, field: str | None = None) -> dict[str, Any]:
    """One CEL rule; several rules of a type are given as a list to `rules`."""
    said = {"rule": expression, "message": message}
    return said if field is None else {**said, "fieldPath": field}


def rules(*each: dict[str, Any]) -> dict[str, Any]:
    """For `json_schema_extra` of a field or `model_config` of a type."""
    return {"x-kubernetes-validations": list(each)}
