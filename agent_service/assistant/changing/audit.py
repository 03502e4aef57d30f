"""Who changed what, or tried to, as lines of a log of its own."""

from __future__ import annotations

import json
import logging
from typing import Any

from agent_service.assistant.state import Proposal

audit_log = logging.getLogger("forescale.agent.audit")


def audit_of(
    outcome: str, proposal: Proposal, *, actor: str, run_id: str, decision: str = "", detail: str = ""
) -> dict[str, Any]:
    """outcome: applied, refused, failed, unknown, expired, invalid, forbidden, rejected.  decision: approve, edit."""
    return {
        "event": "change",
        "outcome": outcome,
        "actor": actor,
        "run_id": run_id,
        "object": f"{proposal['namespace']}/{proposal['name']}",
        "field": proposal["field"],
        "before": proposal["before"],
        "after": proposal["value"],
        "decision": decision,
        "detail": detail,
    }


def audit(told: dict[str, Any]) -> None:
    """Write a line."""
    audit_log.warning("change %s: %s", told["outcome"], json.dumps(told), extra={"told": told})
