"""A small JSON client for tests, and what the audit log says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]


class Admin:
    """Requests as one user; raises httpx.HTTPStatusError from 400 on, with the server's words."""

    def __init__(self, url: str, ca: Path, token: str, agent: str = "tests") -> None:
        import ssl

        context = ssl.create_default_context(cafile=str(ca))
        headers = {"Authorization": f"Bearer {token}", "User-Agent": agent}
        self._http = httpx.Client(base_url=url, verify=context, headers=headers, timeout=30)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, **params: str) -> Json:
        """One object, or a list."""
        return self._json(self._http.get(path, params=params))

    def find(self, path: str) -> Json | None:
        """One object, None when it is not there."""
        answer = self._http.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._json(answer)

    def create(self, path: str, body: Json) -> Json:
        """POST to a collection."""
        return self._json(self._http.post(path, json=body))

    def replace(self, path: str, body: Json) -> Json:
        """PUT."""
        return self._json(self._http.put(path, json=body))

    def apply(self, path: str, body: Json, *, manager: str = "tests", force: bool = True) -> Json:
        """Server-side apply."""
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return self._json(self._http.patch(path, content=json.dumps(body), params=params, headers=headers))

    def merge(self, path: str, body: Json, *, manager: str = "tests") -> Json:
        """Merge patch."""
        headers = {"Content-Type": "application/merge-patch+json"}
        params = {"fieldManager": manager}
        return self._json(self._http.patch(path, content=json.dumps(body), params=params, headers=headers))

    def delete(self, path: str) -> None:
        """DELETE; what is not there is fine."""
        answer = self._http.delete(path)
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._json(answer)

    def status_of(self, method: str, path: str) -> int:
        """Only the HTTP status."""
        return self._http.request(method, path).status_code

    def _json(self, answer: httpx.Response) -> Json:
        if answer.is_error:
            raise httpx.HTTPStatusError(f"{answer.request.url}: {answer.text}", request=answer.request, response=answer)
        found: Json = answer.json()
        return found


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One request that the API server finished."""

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


def read_audit(path: Path) -> list[AuditEvent]:
    """Every request so far; a line that is being written is left for the next time."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    events = []
    for line in text[: text.rfind("\n") + 1].splitlines():
        raw = json.loads(line)
        if raw["stage"] != "ResponseComplete":
            continue
        about = raw.get("objectRef") or {}
        events.append(
            AuditEvent(
                at=datetime.fromisoformat(raw["requestReceivedTimestamp"]),
                verb=raw["verb"],
                group=about.get("apiGroup", ""),
                resource=about.get("resource", ""),
                subresource=about.get("subresource", ""),
                namespace=about.get("namespace", ""),
                name=about.get("name", ""),
                user=(raw.get("user") or {}).get("username", ""),
                agent=raw.get("userAgent", ""),
                code=(raw.get("responseStatus") or {}).get("code", 0),
            )
        )
    return events
