"""What the API server's audit log says: who asked for what, by which user agent, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One request."""

    at: datetime
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: str
    agent: str
    code: int

    @property
    def is_write(self) -> bool:
        """Whether it asked for a change."""
        return self.verb in {"create", "update", "patch", "delete", "deletecollection"}

    @property
    def is_success(self) -> bool:
        """Whether it was done."""
        return self.code < httpx.codes.BAD_REQUEST


@dataclass(slots=True)
class AuditLog:
    """The file, read on from where the last reading ended: in a long session it has many thousand lines."""

    path: Path
    events: list[AuditEvent] = field(default_factory=list)
    _read_bytes: int = 0
    _open: set[str] = field(default_factory=set)  # watches that were seen to begin, by audit ID

    def read(self) -> list[AuditEvent]:
        """Every request so far, oldest first; a line that is being written is left for the next time."""
        if self.path.is_file():
            with self.path.open("rb") as file:
                file.seek(self._read_bytes)
                new = file.read()
            complete = new[: new.rfind(b"\n") + 1]
            self._read_bytes += len(complete)
            for line in complete.splitlines():
                self._add(json.loads(line))
        return list(self.events)

    def _add(self, entry: dict[str, Any]) -> None:
        """A watch is logged when it begins and again when it ends; its beginning is what counts."""
        if entry["auditID"] in self._open:
            if entry["stage"] == "ResponseComplete":
                self._open.remove(entry["auditID"])
            return
        if entry["stage"] == "ResponseStarted":
            self._open.add(entry["auditID"])
        about = entry.get("objectRef") or {}
        self.events.append(
            AuditEvent(
                at=datetime.fromisoformat(entry["requestReceivedTimestamp"]),
                verb=entry["verb"],
                group=about.get("apiGroup", ""),
                resource=about.get("resource", ""),
                subresource=about.get("subresource", ""),
                namespace=about.get("namespace", ""),
                name=about.get("name", ""),
                user=(entry.get("user") or {}).get("username", ""),
                agent=entry.get("userAgent", ""),
                code=(entry.get("responseStatus") or {}).get("code", 0),
            )
        )
