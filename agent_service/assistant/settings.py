"""Where the assistant may look, and whether it may propose changes.  Frozen, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent_service.errors import SettingsError

_PREFIXES = ("forescale_", "agent_", "lg_api_")
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class AssistantSettings:
    """Every source is optional: a question that needs one that is not set is answered so."""

    forecast_url: str | None = None
    forecast_token: str | None = None
    controller_url: str | None = None
    prometheus_url: str | None = None
    prometheus_token: str | None = None
    metric_prefixes: tuple[str, ...] = _PREFIXES  # of metrics that may be asked of Prometheus
    kubernetes_url: str | None = None
    kubernetes_token_file: Path | None = None
    kubernetes_ca_file: Path | None = None
    allows_actions: bool = False  # whether changes may be proposed at all, whatever the caller asks
    approvers: frozenset[str] | None = None  # names of API keys that may propose and approve; None: every one

    def __repr__(self) -> str:
        """Without tokens."""
        return f"AssistantSettings(forecast_url={self.forecast_url!r}, controller_url={self.controller_url!r}, ...)"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> AssistantSettings:
        """Raises SettingsError for URLs that are none, and for a list of approvers without a name."""
        in_cluster = environment.get("KUBERNETES_SERVICE_HOST")
        port = environment.get("KUBERNETES_SERVICE_PORT", "443")
        url = environment.get("AGENT_KUBERNETES_URL") or (f"https://{in_cluster}:{port}" if in_cluster else None)
        token, ca = _SERVICE_ACCOUNT / "token", _SERVICE_ACCOUNT / "ca.crt"
        more = tuple(part.strip() for part in environment.get("AGENT_METRIC_PREFIXES", "").split(",") if part.strip())
        return cls(
            forecast_url=_url(environment, "FORESCALE_URL"),
            forecast_token=environment.get("FORESCALE_TOKEN") or None,
            controller_url=_url(environment, "FORESCALE_CONTROLLER_URL"),
            prometheus_url=_url(environment, "PROMETHEUS_URL"),
            prometheus_token=environment.get("PROMETHEUS_TOKEN") or None,
            metric_prefixes=_PREFIXES + more,
            kubernetes_url=url,
            kubernetes_token_file=_file(environment, "AGENT_KUBERNETES_TOKEN_FILE") or (token if in_cluster else None),
            kubernetes_ca_file=_file(environment, "AGENT_KUBERNETES_CA_FILE") or (ca if in_cluster else None),
            allows_actions=environment.get("AGENT_ALLOW_ACTIONS", "").lower() in ("1", "true", "yes"),
            approvers=_names(environment, "AGENT_APPROVERS"),
        )


def _url(environment: Mapping[str, str], name: str) -> str | None:
    given = environment.get(name, "").rstrip("/")
    if given and not given.startswith(("http://", "https://")):
        raise SettingsError(f"{name} is no http or https URL; give one such as http://forescale:8080")
    return given or None


def _names(environment: Mapping[str, str], name: str) -> frozenset[str] | None:
    given = environment.get(name, "").strip()
    if not given:
        return None
    found = frozenset(part.strip() for part in given.split(",") if part.strip())
    if not found:
        raise SettingsError(f"{name} names nobody; give names of API keys, separated by commas, or leave it out")
    return found


def _file(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None
