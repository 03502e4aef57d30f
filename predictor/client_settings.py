"""Where the forecast server is, and with whose token to ask.  The token stays out of `repr` and of every message."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from predictor.errors import InputError

ENVIRONMENT = "FORESCALE_API_TOKEN"
_SHORTEST_SECRET = 4  # a shorter one would blot out half of every message


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the server is and how to get in.  A token file is read at each request, since tokens are rotated."""

    url: str
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ca_file: Path | None = None
    timeout_seconds: float = 5.0  # for one answer, from the request to its last byte
    retries: int = 2
    retry_budget_seconds: float = 3.0  # that may be lost to failed tries and waiting, over one call

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise InputError(
                "the forecast server's URL must look like http://forescale:8080, without a user or a query"
            )
        if self.token is not None and self.token_file is not None:
            raise InputError("a token and a token file exclude each other; give one of them")
        for path in (self.token_file, self.ca_file):
            if path is not None and not path.is_file():
                raise InputError(f"{path}: no such file; check the options for the forecast server")

    @classmethod
    def load(cls, url: str, environment: Mapping[str, str], **more: Any) -> Settings:
        """With the token of FORESCALE_API_TOKEN, unless another one or a file is given."""
        if more.get("token") is None and more.get("token_file") is None:
            more["token"] = environment.get(ENVIRONMENT, "").strip() or None
        return cls(url, **more)

    def redact(self, text: str) -> str:
        """`text` without our token: a server or a proxy may quote the request that it refuses."""
        secret = self.authorization().get("Authorization", "").removeprefix("Bearer ")
        return text.replace(secret, "***") if len(secret) >= _SHORTEST_SECRET else text

    def transport(self) -> dict[str, Any]:
        """For httpx."""
        verify: ssl.SSLContext | bool = True
        if self.ca_file is not None:
            try:
                verify = ssl.create_default_context(cafile=str(self.ca_file))
            except OSError as error:
                raise InputError(f"{self.ca_file}: holds no certificate in PEM; give the authority's own") from error
        headers = {"User-Agent": "forescale", "Accept": "application/json"}
        return {"base_url": self.url, "timeout": self.timeout_seconds, "verify": verify, "headers": headers}

    def authorization(self) -> dict[str, str]:
        """The header, with the token as it is now."""
        token = self.token
        if self.token_file is not None:
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{self.token_file}: cannot be read; it must hold the token alone") from error
        if not token:
            return {}
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise InputError("the forecast server's token holds a space or a character beyond ASCII")
        return {"Authorization": f"Bearer {token}"}


def _is_address(url: str) -> bool:
    try:
        parts, _ = urlsplit(url), httpx.URL(url)
        is_port = parts.port is None or parts.port > 0
    except (ValueError, httpx.InvalidURL):
        return False
    is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_port and is_plain
