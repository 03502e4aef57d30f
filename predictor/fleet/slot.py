"""A model directory: the bundle in service, and whether a newer one lies there.  Reads files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from predictor import messages as m
from predictor.bundle import CARD_FILE
from predictor.errors import BundleError, ForescaleError
from predictor.forecaster import Forecaster

Load = Callable[[Path], Forecaster]
Signature = tuple[int, int, int]


@dataclass(slots=True, eq=False)
class Slot:
    """One directory, however many workloads use it."""

    path: Path
    name: str
    forecaster: Forecaster | None = None
    error: str | None = None  # why there is none, or why a newer one is refused
    loaded_at: datetime | None = None
    seen: Signature | None = None  # of model.json when it was last looked at
    is_warming: bool = False

    def look(self, load: Load, now: datetime, *, force: bool = False) -> Forecaster | None:
        """Load the bundle when it has changed since the last look; None when there is nothing new, or it is refused."""
        signature = self._signature()
        if signature == self.seen and signature is not None and not force:
            return None
        if signature is None and self.seen is None and self.error is not None and not force:
            return None  # still not there
        self.seen = signature
        try:
            fresh = load(self.path)
            _refuse_what_cannot_be_served(fresh, self.name)
        except (ForescaleError, OSError) as error:
            # The path is the operator's business, not that of whoever asks the API.
            self.error = str(error).replace(str(self.path), self.name)
            return None
        self.error = None
        if self.forecaster is not None and fresh.bundle.content_hash == self.forecaster.bundle.content_hash:
            return None
        return fresh

    def _signature(self) -> Signature | None:
        try:
            found = (self.path / CARD_FILE).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def info(self, workloads: list[str]) -> m.ModelInfo:
        """As the API tells it."""
        if self.forecaster is None:
            return m.ModelInfo(name=self.name, status="refused", message=self.error, workloads=workloads)
        bundle = self.forecaster.bundle
        card, facts = bundle.card, bundle.card.training
        return m.ModelInfo(
            name=self.name,
            status="ok",
            message=self.error,
            version=bundle.short_hash,
            hash=bundle.content_hash,
            created_at=card.created_at,
            code_version=card.code_version,
            loaded_at=self.loaded_at,
            workloads=workloads,
            step_seconds=card.step_seconds,
            horizon_steps=card.schema.horizon,
            levels=list(card.levels),
            season_seconds=[period * card.step_seconds for period in card.schema.season_steps],
            covariates=list(card.schema.covariates),
            trained_from=facts.start,
            trained_to=facts.end,
            training_samples=facts.samples,
            training_series=list(facts.series),
            is_trained_on_synthetic=facts.is_synthetic,
            parameters=facts.parameters,
            validation_skill=facts.validation_skill,
            is_warming=self.is_warming,
        )


def model_name(forecaster: Forecaster) -> m.ModelName:
    """Which model spoke."""
    bundle = forecaster.bundle
    return m.ModelName(
        version=bundle.short_hash,
        hash=bundle.content_hash,
        created_at=bundle.card.created_at,
        code_version=bundle.card.code_version,
    )


def _refuse_what_cannot_be_served(forecaster: Forecaster, name: str) -> None:
    schema = forecaster.schema
    if schema.covariates or schema.has_events:
        wants = [*schema.covariates, *(["announced events"] if schema.has_events else [])]
        raise BundleError(
            f"{name}: was trained with {', '.join(wants)}, which the server does not read; "
            "train without --covariate and --events"
        )
