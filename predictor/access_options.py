"""The options that let a command into Prometheus, and how they become `PrometheusAccess`.  Imports nothing heavy."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from predictor.errors import InputError
from predictor.prometheus_access import PrometheusAccess

_ACCESS = "Access to Prometheus"

TokenFile = Annotated[
    Path | None,
    typer.Option("--bearer-token-file", help="Or FORESCALE_BEARER_TOKEN.", rich_help_panel=_ACCESS),
]
User = Annotated[str | None, typer.Option("--user", help="Basic auth.", rich_help_panel=_ACCESS)]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="Or FORESCALE_PASSWORD.", rich_help_panel=_ACCESS)
]
Headers = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="Repeatable.", rich_help_panel=_ACCESS)
]
CaFile = Annotated[Path | None, typer.Option("--ca-file", rich_help_panel=_ACCESS, help="CA that signed the server.")]
Certificate = Annotated[Path | None, typer.Option("--client-cert", rich_help_panel=_ACCESS, help="PEM.")]
Key = Annotated[Path | None, typer.Option("--client-key", rich_help_panel=_ACCESS, help="PEM.")]
Insecure = Annotated[
    bool, typer.Option("--insecure-skip-tls-verify", rich_help_panel=_ACCESS, help="Trust any certificate.")
]
Timeout = Annotated[float, typer.Option(help="Seconds per request.", rich_help_panel=_ACCESS)]


def prometheus_access(
    url: str,
    *,
    bearer_token_file: Path | None,
    user: str | None,
    password_file: Path | None,
    header: list[str] | None,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    insecure: bool,
    timeout: float,
    retries: int = 2,
) -> PrometheusAccess:
    """From what was typed, with secrets of the environment; raises InputError."""
    return PrometheusAccess(
        url=url,
        # Files are handed on and read at each request, since tokens are rotated.
        bearer_token=None if bearer_token_file or user else os.environ.get("FORESCALE_BEARER_TOKEN"),
        bearer_token_file=bearer_token_file,
        username=user,
        password=None if password_file else os.environ.get("FORESCALE_PASSWORD"),
        password_file=password_file,
        headers=dict(pair(text, ":", "--header") for text in header or []),
        ca_file=ca_file,
        client_certificate=client_cert,
        client_key=client_key,
        skip_tls_verification=insecure,
        timeout_seconds=timeout,
        retries=retries,
    )


def parse_instant(text: str) -> datetime:
    """ISO 8601, UTC when no zone is given."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--at {text}: not a time; use ISO 8601 like 2026-05-04T12:00Z") from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def pair(text: str, separator: str, option: str) -> tuple[str, str]:
    """`NAME:VALUE` taken apart; raises InputError."""
    name, found, value = text.partition(separator)
    if not found or not name.strip() or not value.strip():
        # The value may be a secret, so only the name is repeated.
        raise InputError(f"{option} {name.strip()}: give NAME{separator}VALUE")
    return name.strip(), value.strip()
