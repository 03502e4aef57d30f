"""Who changed what, or tried to, as lines of a log of its own."""

from __future__ import annotations

import json
import logging
from collections import deque
from typing import Any

from agent_service.assistant.state import Proposal

audit_log = logging.getLogger("forescale.agent.audit")
_REMEMBERED = 1000  # lines


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


class Audit:
    """Writes lines, each once: a run decides once, so that the same line again tells of a step performed again.

    That is as far as one process can know.  A run whose replica was killed right after a line may write it once more at
    another replica, with the same run id.
    """

    def __init__(self) -> None:
        self._written: deque[str] = deque(maxlen=_REMEMBERED)

    def __call__(self, told: dict[str, Any]) -> None:
        """Write a line."""
        line = json.dumps(told)
        if not told["run_id"] or line not in self._written:  # without a run's id nobody can tell
            self._written.append(line)
            audit_log.warning("change %s: %s", told["outcome"], line, extra={"told": told})
