"""Who asks, and what he may: his context is read here, and refused in words when it cannot be used.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_service.assistant.names import is_namespace, is_workload
from agent_service.assistant.settings import AssistantSettings

ANONYMOUS = "anonymous"
_KNOWN = ("namespace", "workload", "allow_actions")


class CallerError(Exception):
    """A context that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What a caller says of himself.  Who he is comes from his API key."""

    namespace: str = "default"
    workload: str | None = None
    allows_actions: bool = False


def read_caller(context: object) -> Caller:
    """Raises CallerError."""
    if context is None:
        return Caller()
    if not isinstance(context, Mapping):
        raise CallerError('the context is no object; give one such as {"namespace": "shop"}')
    unknown = [str(name)[:40] for name in context if name not in _KNOWN]
    if unknown:
        raise CallerError(f"the context has {', '.join(unknown[:3])}; it may have {', '.join(_KNOWN)}")
    given = {name: value for name, value in context.items() if value is not None}
    namespace, workload = given.get("namespace", "default"), given.get("workload")
    allows = given.get("allow_actions", False)
    if not is_namespace(namespace):
        raise CallerError("the context's namespace is no name of a namespace, such as shop")
    if workload is not None and not is_workload(workload):
        raise CallerError("the context's workload is no NAME or NAMESPACE/NAME, such as shop/agent")
    if not isinstance(allows, bool):  # "false" is a text, and texts are true
        raise CallerError("the context's allow_actions is neither true nor false")
    return Caller(namespace, workload, allows)


def actor_of(config: Mapping[str, Any]) -> str:
    """The name of the API key, which the server writes and no caller can."""
    return str((config.get("configurable") or {}).get("langgraph_auth_user_id") or ANONYMOUS)


def run_of(config: Mapping[str, Any]) -> str:
    """The run that we are in."""
    return str((config.get("configurable") or {}).get("run_id") or "")


def refusal(settings: AssistantSettings, caller: Caller, actor: str) -> str:
    """Why he may not change anything in this run; "" when he may."""
    if not settings.allows_actions:
        return "I may not change anything here: start the agent with AGENT_ALLOW_ACTIONS=1 to let me propose"
    if settings.approvers is not None and actor not in settings.approvers:
        return f"{actor} may neither propose nor approve changes: AGENT_APPROVERS does not name that API key"
    if caller.allows_actions is not True:
        return 'I propose and make changes only when you allow it: send context {"allow_actions": true}'
    return ""
