"""How the service is run.  Frozen, validated; read once from options and environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent_service.errors import SettingsError

STORE_VARIABLE = "AGENT_STORE"
GRAPHS_VARIABLE = "AGENT_GRAPHS"
WEBHOOKS_VARIABLE = "AGENT_WEBHOOK_HOSTS"
_DEFAULT_STORE = "sqlite:///forescale-agent.db"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Of one process."""

    host: str = "127.0.0.1"
    port: int = 2024  # where clients of LangGraph Server look first
    store: str = _DEFAULT_STORE  # memory://, sqlite:///file, postgresql://...
    slots: int = 32
    queue_limit: int | None = None
    run_seconds: float = 600.0
    node_seconds: float | None = None  # None: a node may take as long as its run
    drain_seconds: float = 45.0
    lease_seconds: float = 30.0
    thread_ttl_minutes: float | None = None  # None: threads stay until they are deleted
    keep_checkpoints: Literal["all", "latest"] = "all"
    keys_file: Path | None = None
    allow_anonymous: bool = False
    cors_origins: tuple[str, ...] = ()
    webhook_hosts: tuple[str, ...] = ()  # that runs may name, such as hooks.example.com
    graphs: Mapping[str, str] = field(default_factory=dict)  # beside our own: name -> module:attribute
    most_body_bytes: int = 1_048_576
    has_langgraph_metrics: bool = False  # also under the names that LangGraph Server uses

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise SettingsError(f"port is {self.port}; give 0 (any) to 65535")
        if self.most_body_bytes < 1024:
            raise SettingsError(f"most_body_bytes is {self.most_body_bytes}; give 1024 or more")
        if not self.store.startswith(("memory:", "sqlite:", "postgresql:", "postgres:")):
            # What was given may hold a password: it is not repeated.
            raise SettingsError("the store's URL begins with none of memory:, sqlite:, postgresql:; see --help")


def store_from(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """An option wins over AGENT_STORE; without either, a file here."""
    return given or environment.get(STORE_VARIABLE) or _DEFAULT_STORE


def graphs_from(given: list[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """name=module:attribute, repeated, or separated by commas in AGENT_GRAPHS; raises SettingsError."""
    found: dict[str, str] = {}
    for text in [*filter(None, environment.get(GRAPHS_VARIABLE, "").split(",")), *given]:
        name, equals, target = text.strip().partition("=")
        module, colon, attribute = target.partition(":")
        if not (name and equals and module and colon and attribute):
            raise SettingsError(f"graph {text!r}: give name=module:attribute, such as triage=myapp.graphs:triage")
        found[name] = target
    return found


def webhook_hosts_from(given: list[str], environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Options and AGENT_WEBHOOK_HOSTS, separated by commas."""
    told = [part.strip().lower() for part in environment.get(WEBHOOKS_VARIABLE, "").split(",")]
    hosts = tuple(filter(None, [*told, *(host.lower() for host in given)]))
    for host in hosts:
        if not re.fullmatch(r"(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:\d{1,5})?", host):
            raise SettingsError(
                f"webhook host {host!r}: give a name or an address, with its port if that is meant: hooks.example:8080"
            )
    return hosts
