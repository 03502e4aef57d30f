"""Builds the CustomResourceDefinition from the types.  Pure.

Structural schemas know no references, no unions and no numbers as exclusive bounds; pydantic writes all three.
"""

from __future__ import annotations

from typing import Any

from controller.resource.base import GROUP, KIND, PLURAL, VERSION
from controller.resource.spec import AutoscalerSpec
from controller.resource.status import AutoscalerStatus

_COLUMNS = (
    ("Mode", "string", ".spec.mode", "Whether it acts.", 0),
    ("Trusted", "string", '.status.conditions[?(@.type=="Trusted")].status', "Whether forecasts are followed.", 0),
    ("Floor", "integer", ".status.floor", "Replicas to be held at least.", 0),
    ("HPA", "integer", ".status.hpaAloneReplicas", "What the HPA alone would hold.", 0),
    ("Reason", "string", ".status.reason", "Why the floor is what it is.", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether it is set up correctly.", 0),
    ("Acting", "string", '.status.conditions[?(@.type=="Acting")].status', "Whether a floor is in force.", 1),
    ("Target", "string", ".spec.scaleTargetRef.name", "What is scaled.", 1),
    ("Age", "date", ".metadata.creationTimestamp", "", 0),
)
_DROPPED = frozenset({"title"})


def definition() -> dict[str, Any]:
    """The manifest."""
    schema = {
        "type": "object",
        "description": "Raises the replica floor of a workload before its demand arrives, and keeps score.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this schema."},
            "kind": {"type": "string", "description": "What this object is."},
            "metadata": {"type": "object"},
            "spec": structural(AutoscalerSpec.model_json_schema()),
            "status": structural(AutoscalerStatus.model_json_schema(mode="serialization"), is_output=True),
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "forescale", "app.kubernetes.io/component": "controller"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["pas"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, description: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    if description:
        column["description"] = description
    if priority:
        column["priority"] = priority
    return column


def structural(schema: dict[str, Any], *, is_output: bool = False) -> dict[str, Any]:
    """A schema of pydantic's as Kubernetes wants it.

    is_output: everything with a default may be left out, as in a status that an older controller wrote.
    """
    definitions: dict[str, Any] = schema.get("$defs", {})
    return _converted({key: value for key, value in schema.items() if key != "$defs"}, definitions, is_output)


def _converted(node: dict[str, Any], definitions: dict[str, Any], is_output: bool) -> dict[str, Any]:
    node = _resolved(node, definitions)
    made: dict[str, Any] = {}
    for key, value in node.items():
        match key:
            case "properties":
                made[key] = {name: _converted(each, definitions, is_output) for name, each in value.items()}
            case "items" | "additionalProperties" if isinstance(value, dict):
                made[key] = _converted(value, definitions, is_output)
            case "exclusiveMinimum":
                made.update(minimum=value, exclusiveMinimum=True)
            case "exclusiveMaximum":
                made.update(maximum=value, exclusiveMaximum=True)
            case "default" if value is None:
                pass  # left out means left out
            case "required" if is_output:
                has_default = {name for name, each in node["properties"].items() if "default" in each}
                if needed := [name for name in value if name not in has_default]:
                    made[key] = needed
            case _ if key not in _DROPPED:
                made[key] = value
    if is_output:
        made.pop("default", None)  # the API server must not invent what the controller has not said
    if made.get("type") == "integer":
        made["format"] = "int64" if made.get("maximum", 2**63) > 2**31 - 1 else "int32"
    return made


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Without references and without `null` among alternatives; what the field itself says has precedence."""
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        own = {key: value for key, value in node.items() if key != "$ref"}
        return _resolved({**target, **own}, definitions)
    if "anyOf" in node:
        (only,) = [each for each in node["anyOf"] if each.get("type") != "null"]
        own = {key: value for key, value in node.items() if key != "anyOf"}
        return _resolved({**only, **own}, definitions)
    return node
