"""Which model plans and words, from the environment; and the model itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent_service.errors import SettingsError
from agent_service.models.observer import ModelObserver

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

DETERMINISTIC, OPENAI, SIMULATED = "deterministic", "openai", "simulated"


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """`kind`: deterministic needs no model; openai any endpoint that speaks its protocol; simulated only pretends."""

    kind: str = DETERMINISTIC
    base_url: str = field(default="https://api.openai.com/v1", repr=False)  # may hold a password
    api_key: str = field(default="", repr=False)
    model: str = ""
    timeout_seconds: float = 60.0  # of a call in all: tries, pauses between them, and the whole answer
    most_calls: int = 8  # of a run
    most_tokens: int = 50_000  # of a run
    first_token_seconds: float = 0.06
    sigma: float = 0.4
    tokens: int = 12
    tokens_per_second: float = 200.0
    error_ratio: float = 0.0
    throttle_ratio: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """A key that is no header would come back in the error of whoever tries to send it."""
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise SettingsError("OPENAI_API_KEY holds a line break or a character that is not ASCII; copy it again")

    @property
    def label(self) -> str:
        """As answers and metrics name it."""
        return self.model if self.kind == OPENAI else self.kind

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ModelSettings:
        """Raises SettingsError."""
        kind = environment.get("AGENT_PLANNER", "").strip().lower() or DETERMINISTIC
        if kind not in (DETERMINISTIC, OPENAI, SIMULATED):
            raise SettingsError(f"AGENT_PLANNER is {kind!r}; give deterministic, openai or simulated")
        read, usual = _Reader(environment), cls()
        found = cls(
            kind=kind,
            base_url=environment.get("OPENAI_BASE_URL", "").strip().rstrip("/") or usual.base_url,
            api_key=environment.get("OPENAI_API_KEY", "").strip(),
            model=environment.get("AGENT_MODEL", ""),
            timeout_seconds=read.number("AGENT_MODEL_TIMEOUT_SECONDS", usual.timeout_seconds, 0.1),
            most_calls=read.whole("AGENT_MODEL_CALLS", usual.most_calls, 1),
            most_tokens=read.whole("AGENT_MODEL_TOKENS", usual.most_tokens, 1),
            first_token_seconds=read.number("AGENT_SIMULATED_FIRST_TOKEN_SECONDS", usual.first_token_seconds, 0),
            sigma=read.number("AGENT_SIMULATED_SIGMA", usual.sigma, 0),
            tokens=read.whole("AGENT_SIMULATED_TOKENS", usual.tokens, 1),
            tokens_per_second=read.number("AGENT_SIMULATED_TOKENS_PER_SECOND", usual.tokens_per_second, 0.1),
            error_ratio=read.number("AGENT_SIMULATED_ERROR_RATIO", usual.error_ratio, 0, 1),
            throttle_ratio=read.number("AGENT_SIMULATED_THROTTLE_RATIO", usual.throttle_ratio, 0, 1),
            seed=read.whole("AGENT_SIMULATED_SEED", usual.seed, 0),
        )
        if kind == OPENAI and not found.model:
            raise SettingsError("AGENT_PLANNER=openai needs AGENT_MODEL, the name of a model at OPENAI_BASE_URL")
        if kind == OPENAI and not found.base_url.startswith(("http://", "https://")):
            raise SettingsError("OPENAI_BASE_URL is no http or https URL; give one such as http://vllm:8000/v1")
        return found


def create_model(settings: ModelSettings, observer: ModelObserver | None = None) -> BaseChatModel | None:
    """None where rules plan."""
    observer = observer or ModelObserver()
    if settings.kind == SIMULATED:
        from agent_service.models.simulated import SimulatedChatModel

        return SimulatedChatModel(
            first_token_seconds=settings.first_token_seconds,
            sigma=settings.sigma,
            tokens=settings.tokens,
            tokens_per_second=settings.tokens_per_second,
            error_ratio=settings.error_ratio,
            throttle_ratio=settings.throttle_ratio,
            seed=settings.seed,
            observer=observer,
        )
    if settings.kind == OPENAI:
        from agent_service.models.endpoint import EndpointChatModel

        return EndpointChatModel.open(settings, observer)
    return None


class _Reader:
    """Numbers of the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def number(self, name: str, default: float, least: float, most: float = math.inf) -> float:
        text = self._environment.get(name, "").strip()
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= most):
            limit = f"{least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
            raise SettingsError(f"{name} is {text!r}; give a number, {limit}")
        return value

    def whole(self, name: str, default: int, least: int) -> int:
        value = self.number(name, default, least)
        if value != int(value):
            raise SettingsError(f"{name} is {value:g}; give a whole number, {least} or more")
        return int(value)
