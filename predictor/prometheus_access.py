"""How to reach a Prometheus server, and with whose credentials.  Secrets stay out of `repr` and of every message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from predictor.errors import InputError

_SHORTEST_SECRET = 4  # a shorter one would blot out half of every message


@dataclass(frozen=True, slots=True)
class PrometheusAccess:
    """Where the server is and how to get in.  Files are read at each request, since tokens are rotated."""

    url: str
    bearer_token: str | None = field(default=None, repr=False)
    bearer_token_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    skip_tls_verification: bool = False
    timeout_seconds: float = 30.0  # for one answer, from the request to its last byte
    retries: int = 2  # of one request
    retry_budget_seconds: float = 15.0  # that may be lost to failed requests in all, over one call

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        # The URL appears in messages, so nothing secret may be in it; it is not repeated here.
        if parts.username or parts.password or parts.query:
            raise InputError(
                "--prometheus: the URL carries a user name, a password or a query; give --user with the password "
                "in FORESCALE_PASSWORD, or a bearer token"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"--prometheus {self.url}: give a URL like http://prometheus:9090")
        for path in (
            self.ca_file, self.client_certificate, self.client_key, self.bearer_token_file, self.password_file,
        ):  # fmt: skip
            if path is not None and not path.is_file():
                raise InputError(f"{path}: no such file; check the options for access to Prometheus")
        if (self.bearer_token or self.bearer_token_file) and self.username:
            raise InputError("a bearer token and a user name exclude each other; give one of them")
        if (self.password_file or self.client_key) and not (self.username or self.client_certificate):
            raise InputError("a password needs a user name, and a client key its certificate; give both")
        if self.timeout_seconds <= 0:
            raise InputError(f"--timeout {self.timeout_seconds:g}: give a positive number of seconds")
        for name, value in self.headers.items():
            _refuse_unprintable(f"the header {name!r}", name + value)

    def token(self) -> str | None:
        """The bearer token as it is now."""
        secret = _read_secret(self.bearer_token_file) if self.bearer_token_file else (self.bearer_token or "").strip()
        _refuse_unprintable("the bearer token", secret.replace(" ", "\n"))
        return secret or None

    def basic_auth(self) -> tuple[str, str] | None:
        """User name and password as they are now."""
        if not self.username:
            return None
        return self.username, _read_secret(self.password_file) if self.password_file else self.password or ""

    def redact(self, text: str) -> str:
        """`text` without our secrets: a server or a proxy may quote the request that it refuses."""
        secrets = {self.bearer_token, self.password, *self.headers.values()}
        secrets |= {_read_secret(path) for path in (self.bearer_token_file, self.password_file) if path is not None}
        for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may be part of another
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text


class Credentials(AuthBase):
    """Puts the current credentials on each request.

    Given even when there are none: requests would otherwise take them from ~/.netrc, over a bearer token too.
    """

    def __init__(self, access: PrometheusAccess) -> None:
        self._access = access

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the Authorization header."""
        pair, token = self._access.basic_auth(), self._access.token()
        if pair is not None:
            HTTPBasicAuth(*(part.encode() for part in pair))(request)  # as UTF-8: requests' own choice is Latin-1
        elif token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request


def _read_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"{path}: cannot be read ({reason}); it must hold the secret and nothing else") from error


def _refuse_unprintable(what: str, text: str) -> None:
    """Before requests does, whose message would show the value."""
    if not (text.isascii() and text.isprintable()):
        raise InputError(f"{what} holds a space, a line break or a character beyond ASCII; check where it comes from")
