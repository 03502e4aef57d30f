"""`forescale controller explain`: from demand to floor, rule by rule, from the stored decision record."""

from __future__ import annotations

import json
from typing import Annotated

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controller.commands import options as k
from controller.kube.errors import KubeError, NotFoundError
from controller.live.records import DecisionRecord
from predictor.access_options import parse_instant
from predictor.errors import InputError, SourceError

_WORDS = {
    "plan_capacity": "the forecast asks for",
    "hold_without_forecast": "without an opinion of the forecast",
    "limit_scale_up": "a forecast may not ask for arbitrarily more than present demand needs",
    "stabilize_scale_down": "the floor falls only to the highest recommendation of its window",
    "hold_through_collapse": "demand fell at once, as in an outage, and is expected back",
    "ignore_small_changes": "a slightly lower floor is not worth a change",
    "limit_release": "the floor falls by a share of itself per minute at most",
    "follow_announcements": "an announced event asks for",
    "keep_reactive_answer": "present demand needs at least",
    "let_the_hpa_govern": "the HPA alone would hold",
    "stay_within_bounds": "the user's bounds",
}


def explain(
    name: Annotated[str, typer.Argument(help="PredictiveAutoscaler, as NAME or NAMESPACE/NAME.")],
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Then instead of now, as 2026-11-24T10:03:00Z.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="The controller itself; else through the API server.")] = None,
    service: Annotated[str, typer.Option(help="The controller's Service, NAMESPACE/NAME:PORT.")] = (
        "forescale/forescale-controller:8081"
    ),
    kubeconfig: k.Kubeconfig = None,
    context: k.ContextName = None,
    namespace: k.Namespace = None,
    as_json: k.AsJson = False,
) -> None:
    """Why is the floor what it is, or was?

    Examples:

      forescale controller explain shop/agent

      forescale controller explain agent -n shop --at 2026-11-24T10:03:00Z
    """
    space, _, alone = name.rpartition("/")
    asked = {"namespace": space or namespace or "default", "name": alone}
    if at is not None:
        asked["at"] = parse_instant(at).isoformat()
    found = _from_url(url, asked) if url is not None else _through_api_server(service, asked, kubeconfig, context)
    try:
        record = DecisionRecord.model_validate(found)
    except ValidationError as error:
        raise SourceError("what answers is no controller of this version; check --url or --service") from error
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _print(record)


def _from_url(url: str, asked: dict[str, str]) -> object:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/v1/decisions", params=asked, timeout=5)
        found: dict[str, object] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise SourceError(f"{url}: no controller answers there ({error}); check the URL or the port-forward") from error
    if answer.status_code != httpx.codes.OK:
        raise InputError(f"{found.get('detail', answer.status_code)}; see `forescale controller status`")
    return found


def _through_api_server(service: str, asked: dict[str, str], kubeconfig: object, context: str | None) -> object:
    namespace, slash, rest = service.partition("/")
    if not slash or ":" not in rest:
        raise InputError(f"--service {service}: give NAMESPACE/NAME:PORT")
    api = k.connect(kubeconfig, context, "explain")  # type: ignore[arg-type]  # a Path or None
    try:
        return api.get(f"/api/v1/namespaces/{namespace}/services/{rest}/proxy/v1/decisions", asked)
    except NotFoundError as error:
        raise InputError(f"{error}; is the controller's Service {service}? Else give --service or --url") from error
    except KubeError as error:
        raise SourceError(f"{error}; or forward its port and give --url http://127.0.0.1:8081") from error
    finally:
        api.close()


def _print(record: DecisionRecord) -> None:
    console = Console(highlight=False)
    held = "no floor of its own" if record.floor is None else f"floor {record.floor}"
    does = "" if record.acts else " (only watching: nothing is written)"
    console.print(f"[bold]{record.resource}[/bold] at {record.at:%Y-%m-%d %H:%M:%S} UTC: {held}{does}, {record.reason}")
    seen = Table(box=None, show_header=False, pad_edge=False)
    for label, value in (
        ("demand", _amount(record.demand)),
        ("highest of the last hour", _amount(record.recent_peak_demand)),
        ("replicas", _amount(record.replicas)),
        ("the HPA alone would hold", _amount(record.hpa_alone_replicas)),
        ("forecast", _forecast(record)),
        ("trusted", "yes" if record.is_trusted else "no"),
        ("lead", f"{record.lead_seconds:g} s: pods asked for now serve then"),
        ("planned demand", _planned(record)),
    ):
        seen.add_row(label, value)
    console.print(seen)
    chain = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("rule", "replicas", "why"):
        chain.add_column(column)
    for step in record.steps:
        before = "" if step.before is None else f"{step.before} → "
        after = "no opinion" if step.after is None else str(step.after)
        chain.add_row(_WORDS.get(step.rule, step.rule), before + after, step.reason)
    console.print(chain)


def _amount(value: float | None) -> str:
    return "not known" if value is None else f"{value:g}"


def _forecast(record: DecisionRecord) -> str:
    if record.forecast_issued_at is None:
        return "none"
    return f"issued at {record.forecast_issued_at:%H:%M:%S} UTC by model {record.model or 'unknown'}"


def _planned(record: DecisionRecord) -> str:
    if record.planned_demand is None:
        return "none"
    return f"{record.planned_demand:g}, the {record.level:.1%} quantile, at {record.target_per_replica:g} per replica"
