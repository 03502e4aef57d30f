"""forescale.yaml, which tells `forescale serve` and `retrain` what to do, as typed and checked settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from predictor.errors import InputError
from predictor.forecast import DEFAULT_HORIZON, MAX_HORIZON
from predictor.prometheus_access import PrometheusAccess
from predictor.series import MAX_STEP_SECONDS, MIN_STEP_SECONDS
from predictor.surges import DEFAULT_ALARM_LEVEL

WORKLOAD_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"  # goes into URLs and metric labels
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrometheusSettings(_Strict):
    """How to reach the metric server.  Secrets are named by file, or come from the environment, never from here."""

    url: str
    bearer_token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    skip_tls_verification: bool = False
    timeout_seconds: float = Field(10.0, gt=0, le=600)

    def access(self, environment: dict[str, str]) -> PrometheusAccess:
        """The same with what the environment holds: FORESCALE_BEARER_TOKEN, FORESCALE_PASSWORD."""
        has_user = self.username is not None
        token = None if self.bearer_token_file or has_user else environment.get("FORESCALE_BEARER_TOKEN")
        password = None if self.password_file or not has_user else environment.get("FORESCALE_PASSWORD")
        return PrometheusAccess(
            url=self.url,
            bearer_token=token,
            bearer_token_file=self.bearer_token_file,
            username=self.username,
            password=password,
            password_file=self.password_file,
            headers=self.headers,
            ca_file=self.ca_file,
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            skip_tls_verification=self.skip_tls_verification,
            timeout_seconds=self.timeout_seconds,
            retries=0,  # the next cycle is the next try
        )


class WorkloadSettings(_Strict):
    """One workload, or with a name like `{namespace}.{app}` one for every series that the query gives."""

    name: str
    query: str = Field(min_length=1)
    select: dict[str, str] = Field(default_factory=dict)  # labels of this workload's series, of a query with several
    model: Path | None = None  # directory of the bundle
    target_per_replica: float | None = Field(None, gt=0)  # demand that one replica carries
    step_seconds: int | None = Field(None, ge=MIN_STEP_SECONDS, le=MAX_STEP_SECONDS)
    horizon_steps: int | None = Field(None, ge=1, le=MAX_HORIZON)
    alarm_level: float | None = Field(None, gt=0, lt=1)
    replicas_query: str | None = None  # observed replicas, to be shown beside the recommended ones

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Labels that the name is made of; none for a single workload."""
        return tuple(_PLACEHOLDER.findall(self.name))

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not re.fullmatch(WORKLOAD_NAME, _PLACEHOLDER.sub("x", name)):
            raise ValueError("use letters, digits, dots, dashes and underscores, at most 128, like shop.checkout")
        return name

    def named(self, labels: dict[str, str]) -> str:
        """The name that a series with these labels gets; placeholders without a label stay empty."""
        return _PLACEHOLDER.sub(lambda match: labels.get(match[1], ""), self.name)


class RetrainSettings(_Strict):
    """How `forescale retrain` learns and judges."""

    days: float = Field(28.0, gt=0)  # of history to read
    judged_days: float = Field(2.0, gt=0)  # the newest span, which the challenger has not seen
    min_gain_ratio: float = Field(0.01, ge=0, lt=1)  # by which the challenger's loss must be lower
    keep_versions: int = Field(5, ge=1, le=100)


class ServerSettings(_Strict):
    """The HTTP side."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    tokens_file: Path | None = None  # one bearer token per line; or FORESCALE_API_TOKENS, separated by commas
    allow_anonymous: bool = False  # needed to serve without tokens beyond the loopback interface
    cors_origins: tuple[str, ...] = ()
    requests_per_minute: int = Field(1200, ge=1)  # of one client
    max_body_bytes: int = Field(1 << 20, ge=1024)
    access_log: bool = False  # one line per request but probes


class Settings(_Strict):
    """The whole file."""

    prometheus: PrometheusSettings | None = None  # None only with generated demand
    model: Path | None = None  # of workloads that name none
    target_per_replica: float | None = Field(None, gt=0)
    step_seconds: int = Field(60, ge=MIN_STEP_SECONDS, le=MAX_STEP_SECONDS)
    horizon_steps: int = Field(DEFAULT_HORIZON, ge=1, le=MAX_HORIZON)
    season_seconds: tuple[int, ...] = (86_400, 604_800)
    alarm_level: float = Field(DEFAULT_ALARM_LEVEL, gt=0, lt=1)
    settle_seconds: float = Field(5.0, ge=0, le=600)  # waited after each step, until its samples are scraped
    max_workloads: Annotated[int, Field(ge=1, le=100_000)] = 2000
    workloads: tuple[WorkloadSettings, ...] = Field(min_length=1)
    server: ServerSettings = ServerSettings()
    retrain: RetrainSettings = RetrainSettings()

    @model_validator(mode="after")
    def _is_consistent(self) -> Settings:
        names = [workload.name for workload in self.workloads]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"workloads named twice: {', '.join(twice)}; a name stands for one workload")
        homeless = [workload.name for workload in self.workloads if self.model_of(workload) is None]
        if homeless:
            raise ValueError(f"{', '.join(homeless)}: no model; give `model:` there, or one for all at the top")
        return self

    def model_of(self, workload: WorkloadSettings) -> Path | None:
        """Its bundle's directory."""
        return workload.model or self.model

    def target_of(self, workload: WorkloadSettings) -> float | None:
        """Demand that one of its replicas carries; None when not known."""
        return workload.target_per_replica or self.target_per_replica

    def step_of(self, workload: WorkloadSettings) -> int:
        """Seconds between its samples."""
        return workload.step_seconds or self.step_seconds

    def horizon_of(self, workload: WorkloadSettings) -> int:
        """Steps ahead."""
        return workload.horizon_steps or self.horizon_steps

    def alarm_level_of(self, workload: WorkloadSettings) -> float:
        """Quantile level of the highest demand within the horizon that raises an alarm."""
        return workload.alarm_level or self.alarm_level


def read_settings(path: Path) -> Settings:
    """Read forescale.yaml; raises InputError naming each field at fault.  Paths in it are relative to the file."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; --config names a readable YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).replace("\n", " ")
        raise InputError(f"{path}: not YAML ({reason}); see docs/serving.md for an example") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no settings; see docs/serving.md for an example")
    return settings_from(document, source=str(path), folder=path.parent)


def settings_from(document: dict[str, Any], *, source: str, folder: Path = Path()) -> Settings:
    """Check a document; `folder` is what its paths are relative to."""
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{source}: {_in_words(error)}; see docs/serving.md for what each setting means") from error
    placed: Settings = _placed(settings, folder)
    return placed


def _in_words(error: ValidationError) -> str:
    found = []
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(part) for part in one["loc"])
        what = one["msg"].removeprefix("Value error, ")
        found.append(f"{where}: {what}" if where else what)
    return "; ".join(found)


def _placed(value: Any, folder: Path) -> Any:
    """The same settings with every relative path below `folder`."""
    if isinstance(value, _Strict):
        # Only what was stated: what was left out must still count as left out.
        changes = {name: _placed(getattr(value, name), folder) for name in value.model_fields_set}
        return value.model_copy(update=changes)
    if isinstance(value, tuple):
        return tuple(_placed(one, folder) for one in value)
    if isinstance(value, Path):
        return value if value.is_absolute() else folder / value
    return value
