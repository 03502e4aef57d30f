"""Forecasts of all workloads in one request, as the decision core wants them.  Absence is a reason, never a value."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from controller.resource.resource import Key
from predictor import messages as m
from predictor.errors import ForescaleError
from predictor.forecast import Forecast

log = logging.getLogger("forescale.forecasts")


class ForecastServer(Protocol):
    """What is needed of `predictor.client.ForecastClient`."""

    def forecasts(self, names: Sequence[str] | None = None, *, window_max: bool = True) -> m.ForecastBatch:
        """Many workloads in one call."""
        ...


class Told(NamedTuple):
    """What the forecast server says of one workload."""

    forecast: Forecast | None
    answer: m.ForecastAnswer | None
    problem: str = ""  # why there is no forecast
    reason: str = ""  # the same in one word


class ForecastReader:
    """Reads; remembers the last answers, whose age the decision judges, over a failure of the server."""

    def __init__(self, server: ForecastServer) -> None:
        self._server = server
        self._last: dict[Key, Told] = {}
        self.error: ForescaleError | None = None

    def read(self, workloads: Mapping[Key, str]) -> dict[Key, Told]:
        """By resource; `workloads` has their names at the server."""
        if not workloads:
            return {}
        try:
            batch = self._server.forecasts(sorted(set(workloads.values())), window_max=True)
            self.error = None
        except ForescaleError as error:
            if self.error is None:
                log.warning("no forecasts: %s", error)
            self.error = error
            # A forecast stays one while it is young: whoever decides looks at its age.
            return {
                key: self._last.get(key, Told(None, None))._replace(problem=str(error), reason="ForecastServerFailed")
                for key in workloads
            }
        by_name = {answer.workload: _told(answer) for answer in batch.forecasts}
        missing = Told(None, None, "the forecast server does not answer for it", "NoAnswer")
        self._last = {key: by_name.get(name, missing) for key, name in workloads.items()}
        return dict(self._last)


def _told(answer: m.ForecastAnswer) -> Told:
    if answer.status != "ok":
        return Told(None, answer, answer.message or "", str(answer.reason or "Unavailable"))
    try:
        # The numbers once are enough: as lists they take four times the memory of all else that is known.
        return Told(forecast_of(answer), answer.model_copy(update={"path": [], "window_max": None, "times": []}))
    except ValueError as error:
        return Told(None, answer, f"the answer cannot be used: {error}", "ForecastInvalid")


def forecast_of(answer: m.ForecastAnswer) -> Forecast:
    """The core's type; raises ValueError when the answer contradicts itself."""
    if answer.issued_at is None or answer.step_seconds is None or answer.window_max is None:
        raise ValueError("issued_at, step_seconds or window_max is missing")
    path, peak = np.asarray(answer.path, dtype=np.float64), np.asarray(answer.window_max, dtype=np.float64)
    levels = tuple(answer.levels)
    if path.shape != peak.shape or path.ndim != 2 or path.shape[1] != len(levels) or not path.size:
        raise ValueError(f"{path.shape} and {peak.shape} quantiles for {len(levels)} levels")
    if list(levels) != sorted(levels):
        raise ValueError("levels are not in order")
    return Forecast(
        series=answer.workload,
        issued_at=answer.issued_at,
        step_seconds=answer.step_seconds,
        levels=levels,
        path=path,
        peak=peak,
        model="" if answer.model is None else answer.model.version,
        is_synthetic=answer.is_synthetic,
    )
