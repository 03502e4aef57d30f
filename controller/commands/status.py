"""`forescale controller status`: every PredictiveAutoscaler in one table."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.commands import options as k
from controller.kube.errors import NotFoundError
from controller.live.cluster import RESOURCES, scoped
from controller.resource.resource import Resource
from controller.resource.status import AutoscalerStatus, ScoreStatus
from predictor.errors import InputError

_PIPE_COLUMNS = 120
_STYLES = {"True": "green", "False": "red", "Unknown": "yellow"}


def status(
    kubeconfig: k.Kubeconfig = None,
    context: k.ContextName = None,
    namespace: k.Namespace = None,
    as_json: k.AsJson = False,
) -> None:
    """Is it on, is it trusted, what floor does it hold, what would the HPA alone hold, and how has it done.

    Examples:

      forescale controller status

      forescale controller status --namespace shop --json
    """
    api = k.connect(kubeconfig, context, "status")
    try:
        manifests, _ = api.get_all(scoped(RESOURCES, namespace))
    except NotFoundError as error:
        raise InputError(
            "this cluster does not know PredictiveAutoscalers; install the definition: "
            "forescale controller crd | kubectl apply --server-side -f -"
        ) from error
    finally:
        api.close()
    if as_json:
        typer.echo(json.dumps([{"metadata": _names(each), **_parts(each)} for each in manifests]))
        return
    if not manifests:
        where = "" if namespace is None else f" in the namespace {namespace}"
        typer.echo(f"There are no PredictiveAutoscalers{where}; docs/controller.md shows how to make one.")
        return
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width, and a cut line is of no use there
        console.width = max(console.width, _PIPE_COLUMNS)
    console.print(_table([Resource.from_manifest(each) for each in manifests]))
    for each in manifests:
        _print_details(console, Resource.from_manifest(each))


def _table(resources: list[Resource]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("resource", "mode", "ready", "trusted"):
        table.add_column(name)
    for name in ("floor", "HPA alone", "now", "start-up"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for one in resources:
        found = one.status
        mode = "Paused" if one.spec.paused else one.spec.mode.value
        table.add_row(
            str(one.key),
            mode,
            _verdict(found, "Ready"),
            _verdict(found, "Trusted"),
            _number(found.floor),
            _number(found.hpa_alone_replicas),
            _number(found.replicas),
            _startup(found),
            found.reason or "",
        )
    return table


def score_line(score: ScoreStatus) -> str:
    """The score in one line, with its counts."""
    resolved = score.hits + score.false_alarms
    parts = [f"{score.scored_minutes} min"]
    if resolved:
        parts.append(f"{score.false_alarms} of {resolved} alarms false")
    if score.surges:
        parts.append(f"{score.surges_caught} of {score.surges} surges caught")
    parts.append(f"short {score.under_minutes} min, HPA alone {score.under_minutes_hpa}")
    parts.append(f"{score.replica_minutes_added:+} replica-minutes")
    return "; ".join(parts)


def _verdict(found: AutoscalerStatus, kind: str) -> Text:
    condition = next((each for each in found.conditions if each.type == kind), None)
    if condition is None:
        return Text("-", style="dim")
    said = {"True": "yes", "False": "no", "Unknown": "unknown"}[condition.status.value]
    return Text(said, style=_STYLES[condition.status.value])


def _print_details(console: Console, resource: Resource) -> None:
    """The score, and what is not as it should be, in words."""
    score = resource.status.score
    if score is not None:
        console.print(f"  [bold]{resource.key}[/bold] {score_line(score)}", highlight=False)
    for each in resource.status.conditions:
        if each.type in ("Ready", "ForecastAvailable", "Trusted") and each.status != "True":
            console.print(f"  [bold]{resource.key}[/bold] {each.type}: {each.reason}: {each.message}", highlight=False)


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _startup(found: AutoscalerStatus) -> str:
    if found.startup_seconds is None:
        return "-"
    return f"{found.startup_seconds:.0f} s" + (
        f" ({found.startup_samples} pods)" if found.startup_samples else " (given)"
    )


def _names(manifest: dict[str, object]) -> dict[str, object]:
    meta = manifest["metadata"]
    assert isinstance(meta, dict)  # noqa: S101
    return {"namespace": meta["namespace"], "name": meta["name"]}


def _parts(manifest: dict[str, object]) -> dict[str, object]:
    return {"spec": manifest.get("spec"), "status": manifest.get("status")}
