"""The API's paths.  Forecasts come from the last snapshot; what looks into the past takes the fleet's lock briefly.

An answer is made once per cycle and kept: who asks again before there is news gets the same bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from predictor import messages as m
from predictor.errors import InputError
from predictor.fleet import scoring
from predictor.fleet.view import View
from predictor.server import answers, examples
from predictor.server.conditional import answer
from predictor.server.context import Context, context_of, soonest_expiry
from predictor.server.hub import MAX_LISTENERS, HubFullError
from predictor.server.settings import WORKLOAD_NAME

DAY_SECONDS = 86_400
MAX_WINDOW_SECONDS = 31 * DAY_SECONDS

Name = Annotated[str, Path(pattern=WORKLOAD_NAME, description="As GET /v1/workloads lists it.", examples=["checkout"])]
Window = Annotated[
    int, Query(ge=60, le=MAX_WINDOW_SECONDS, description="Seconds that end now; the server keeps three cycles.")
]


class KeptRoute(APIRoute):
    """Answers from what is kept before anything of the request is taken apart."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        handle = super().get_route_handler()

        async def look_first(request: Request) -> Response:
            context = context_of(request)
            kept = context.kept(_key(request), context.clock().timestamp())
            if kept is not None:
                return answer(request, kept.body, etag=kept.etag)
            return await handle(request)

        return look_first


kept_router = APIRouter(prefix="/v1", route_class=KeptRoute)
router = APIRouter(prefix="/v1")


@kept_router.get(
    "/workloads/{name}/forecast",
    response_model=m.ForecastAnswer,
    tags=["forecasts"],
    responses=examples.of(m.ForecastAnswer, examples.FORECAST) | examples.PROBLEMS,
)
async def get_forecast(
    request: Request,
    name: Name,
    quantiles: Annotated[
        str | None,
        Query(
            description="Levels separated by commas, of those that the model gives; all when left out.",
            pattern=r"^0?\.\d{1,6}(,0?\.\d{1,6}){0,31}$",
            examples=["0.5,0.95"],
        ),
    ] = None,
    horizon: Annotated[
        int | None, Query(ge=1, le=216_000, description="Seconds ahead; the model's horizon when left out.")
    ] = None,
    window_max: Annotated[bool, Query(description="Also the highest demand until each step.")] = False,
) -> Response:
    """The forecast of one workload: quantiles of demand at each step ahead.

    No forecast is an answer too: `status` is then `unavailable`, with a `reason` and no numbers.
    """
    context = context_of(request)
    view, now = _view(context, name), context.clock()
    levels = None if quantiles is None else [float(level) for level in quantiles.split(",")]
    with _refusing():
        made = answers.forecast(view, now, quantiles=levels, horizon_seconds=horizon, window_max=window_max)
    return _keep(context, request, made, [view], now)


@kept_router.get(
    "/workloads",
    response_model=m.WorkloadList,
    tags=["workloads"],
    responses=examples.of(m.WorkloadList, examples.WORKLOADS) | examples.PROBLEMS,
)
async def get_workloads(request: Request) -> Response:
    """Every workload: demand now, what is expected, whether to trust it, and how right it has been."""
    context = context_of(request)
    now, snapshot = context.clock(), context.snapshot
    return _keep(context, request, answers.workload_list(snapshot, now), list(snapshot.views.values()), now)


@router.post(
    "/forecast",
    response_model=m.ForecastBatch,
    tags=["forecasts"],
    responses=examples.of(m.ForecastBatch, {"cycle": 4711, "forecasts": [examples.FORECAST]}) | examples.PROBLEMS,
)
def post_forecast(request: Request, wanted: Annotated[m.ForecastRequest, examples.FORECAST_REQUEST]) -> Response:
    """Forecasts of many workloads in one call, in the order asked for; of all of them when none is named.

    A name that nobody configured is answered with `unavailable` and `UnknownWorkload`, so that one wrong name does not
    cost the others their forecast.
    """
    context = context_of(request)
    snapshot, now = context.snapshot, context.clock()
    names = list(snapshot.views) if wanted.workloads is None else wanted.workloads
    made = []
    for name in names:
        view = snapshot.views.get(name)
        if view is None:
            made.append(answers.unknown(name))
            continue
        with _refusing():
            made.append(
                answers.forecast(
                    view,
                    now,
                    quantiles=wanted.quantiles,
                    horizon_seconds=wanted.horizon_seconds,
                    window_max=wanted.window_max,
                )
            )
    return _json(request, m.ForecastBatch(cycle=snapshot.cycle, forecasts=made))


@router.get(
    "/workloads/{name}/history",
    response_model=m.History,
    tags=["workloads"],
    responses=examples.PROBLEMS,
)
def get_history(
    request: Request,
    name: Name,
    start: Annotated[
        datetime | None, Query(description="ISO 8601 with zone; a day before `end` when left out.")
    ] = None,
    end: Annotated[datetime | None, Query(description="ISO 8601 with zone; now when left out.")] = None,
) -> Response:
    """Demand as it came, beside what had been forecast for it one horizon before, and replicas."""
    context = context_of(request)
    with _subject(context, name) as subject:
        step = subject.step_seconds
        last = subject.track.step if end is None else _step(end, step, "end")
        first = last - DAY_SECONDS // step + 1 if start is None else _step(start, step, "start", up=True)
        if first > last:
            raise HTTPException(422, "start lies after end; give start before end")
        first = max(first, subject.track.step - subject.cohort.shape.kept_steps + 1)
        last = min(last, subject.track.step)
        workload = context.engine.fleet.workloads[name]
        observed = context.engine.fleet.observed_replicas(workload, step, range(first, last + 1))
        made = scoring.history(subject, first, last, observed)
    return _json(request, made)


@router.get(
    "/workloads/{name}/accuracy",
    response_model=m.Accuracy,
    tags=["scores"],
    responses=examples.of(m.Accuracy, examples.ACCURACY) | examples.PROBLEMS,
)
def get_accuracy(request: Request, name: Name, window: Window = DAY_SECONDS) -> Response:
    """How right forecasts have been: errors beside persistence's, coverage, surges and alarms, with their counts."""
    context = context_of(request)
    with _subject(context, name) as subject:
        made = scoring.accuracy(subject, window, _view(context, name).trust)
    return _json(request, made)


@router.get("/workloads/{name}/alarms", response_model=m.Alarms, tags=["scores"], responses=examples.PROBLEMS)
def get_alarms(request: Request, name: Name, window: Window = DAY_SECONDS) -> Response:
    """Every alarm with its outcome, and every surge, caught or missed."""
    context = context_of(request)
    with _subject(context, name) as subject:
        made = scoring.alarms(subject, window)
    return _json(request, made)


@router.get("/models", response_model=m.Models, tags=["models"], responses=examples.PROBLEMS)
def get_models(request: Request) -> Response:
    """Every model bundle: where it comes from, and who uses it."""
    return _json(request, m.Models(models=list(context_of(request).snapshot.models)))


@router.post("/models/reload", response_model=m.Reloaded, tags=["models"], responses=examples.PROBLEMS)
def post_reload(request: Request) -> Response:
    """Look for newer bundles now.  A newer one is calibrated on history first; the old one forecasts until then."""
    return _json(request, context_of(request).engine.reload())


@router.get("/events", response_class=EventSourceResponse, tags=["forecasts"], responses=examples.PROBLEMS)
async def get_events(
    request: Request,
    workload: Annotated[
        list[Annotated[str, Query(pattern=WORKLOAD_NAME)]] | None,
        Query(max_length=100, description="Repeatable; send these forecasts too."),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """A stream of events: `cycle` after every cycle, and `forecast` for each workload named.

    The id is the number of the cycle; with `Last-Event-ID` a listener gets at once what it has missed.
    """
    context = context_of(request)
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isdecimal() and len(last) < 16 else -1
    if after > context.snapshot.cycle:
        after = -1  # of an earlier process
    try:
        async with context.hub.subscribe(after=after) as news:
            async for snapshot in news:
                now = context.clock()
                available = sum(view.refusal_at(now) is None for view in snapshot.views.values())
                for name in workload or ():
                    view = snapshot.views.get(name)
                    told = (
                        answers.unknown(name)
                        if view is None
                        else answers.forecast(view, now, quantiles=None, horizon_seconds=None, window_max=True)
                    )
                    yield ServerSentEvent(raw_data=told.model_dump_json(), event="forecast", id=str(snapshot.cycle))
                cycle = m.CycleEvent(
                    cycle=snapshot.cycle, at=snapshot.at, workloads=len(snapshot.views), available=available
                )
                yield ServerSentEvent(raw_data=cycle.model_dump_json(), event="cycle", id=str(snapshot.cycle))
    except HubFullError:
        raise HTTPException(503, f"{MAX_LISTENERS} listeners already; ask for forecasts instead") from None


# --- shared ------------------------------------------------------------------------------------------------------


def _view(context: Context, name: str) -> View:
    view = context.snapshot.views.get(name)
    if view is None:
        raise HTTPException(404, f"no workload {name}; GET /v1/workloads lists them")
    return view


@contextmanager
def _subject(context: Context, name: str) -> Any:
    """The workload's past, which stays as it is meanwhile."""
    view = _view(context, name)
    fleet = context.engine.fleet
    with fleet.lock:
        subject = fleet.subjects().get(name)
        if subject is None:
            why = view.refusal_at(context.clock())
            raise HTTPException(503, why[1] if why else f"{name}: nothing is known of its past yet; ask again")
        yield subject


def _step(instant: datetime, step_seconds: int, what: str, *, up: bool = False) -> int:
    if instant.tzinfo is None:
        raise HTTPException(422, f"{what} has no time zone; append Z for UTC")
    seconds = instant.timestamp()
    return int(-(-seconds // step_seconds)) if up else int(seconds // step_seconds)


@contextmanager
def _refusing() -> Any:
    """What the model does not have is the asker's mistake."""
    try:
        yield
    except InputError as error:
        raise HTTPException(422, str(error)) from error


def _key(request: Request) -> str:
    return f"{request.scope['path']}?{request.scope['query_string'].decode('latin-1')}"


def _keep(context: Context, request: Request, made: BaseModel, views: list[View], now: datetime) -> Response:
    body = made.model_dump_json().encode()
    kept = context.keep(_key(request), body, soonest_expiry(views, now.timestamp()))
    return answer(request, kept.body, etag=kept.etag)


def _json(request: Request, made: BaseModel) -> Response:
    return answer(request, made.model_dump_json().encode())
