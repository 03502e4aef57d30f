"""A small JSON client for tests."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]


class Admin:
    """Requests as one user; raises httpx.HTTPStatusError from 400 on, with the server's words."""

    def __init__(self, url: str, ca: Path, token: str, agent: str = "tests", timeout_seconds: float = 30.0) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        headers = {"Authorization": f"Bearer {token}", "User-Agent": agent}
        self._http = httpx.Client(base_url=url, verify=context, headers=headers, timeout=timeout_seconds)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, **params: str) -> Json:
        """One object, or a list."""
        return self._json(self._http.get(path, params=params))

    def items(self, path: str, **params: str) -> list[Json]:
        """Of a list."""
        return list(self.get(path, **params)["items"])

    def find(self, path: str, **params: str) -> Json | None:
        """One object, None when it is not there."""
        answer = self._http.get(path, params=params)
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
