"""`forescale controller restore`: give every raised floor back, whether a controller lives or not."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from controller.actuators.min_replicas import MinReplicas
from controller.commands import options as k
from controller.kube import hpas
from controller.kube.errors import KubeError
from controller.kube.hpas import Hpa, reduce_hpa
from controller.live.cluster import scoped
from predictor.errors import InputError


def restore(
    all_: Annotated[bool, typer.Option("--all", help="Every HPA that bears our record.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    kubeconfig: k.Kubeconfig = None,
    context: k.ContextName = None,
    namespace: k.Namespace = None,
    as_json: k.AsJson = False,
) -> None:
    """Put the users' own minReplicas back, with their owners, from the records on the HPAs themselves.

    Stop the controller first: one that runs raises its floors again.  Can be repeated.

    Examples:

      forescale controller restore --all --dry-run

      forescale controller restore --all --namespace shop
    """
    if not all_:
        raise InputError("restore undoes every raised floor; say so with --all, and --namespace for one namespace")
    api = k.connect(kubeconfig, context, "restore")
    try:
        manifests, _ = api.get_all(scoped(hpas.COLLECTION, namespace))
        raised = [hpa for hpa in map(reduce_hpa, manifests) if hpa.record is not None or hpa.has_damaged_record]
        failed, done = [], []
        for hpa in raised:
            try:
                after = hpa if dry_run else MinReplicas(api).give_back(hpa)
                done.append((hpa, after))
            except KubeError as error:
                failed.append((hpa, str(error)))
    finally:
        api.close()
    _print(done, failed, dry_run=dry_run, as_json=as_json)
    if failed:
        raise KubeError(f"{len(failed)} of {len(raised)} floors could not be given back: {failed[0][1]}; try again")


def _print(done: list[tuple[Hpa, Hpa | None]], failed: list[tuple[Hpa, str]], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        rows = [
            {"hpa": str(hpa.key), "from": hpa.min_replicas, "to": hpa.user_min_replicas, "error": None}
            for hpa, _ in done
        ]
        rows += [
            {"hpa": str(hpa.key), "from": hpa.min_replicas, "to": hpa.user_min_replicas, "error": error}
            for hpa, error in failed
        ]
        typer.echo(json.dumps({"dryRun": dry_run, "restored": rows}))
        return
    if not done and not failed:
        typer.echo("No HPA bears a raised floor: there is nothing to restore.")
        return
    table = Table(box=None, header_style="bold")
    for column in ("HPA", "minReplicas", "owner", "result"):
        table.add_column(column)
    for hpa, after in done:
        owners = ", ".join(owner.manager for owner in hpa.user_owners) or "nobody"
        result = "would be restored" if dry_run else "is gone" if after is None else "restored"
        table.add_row(str(hpa.key), f"{hpa.min_replicas} → {hpa.user_min_replicas}", owners, result)
    for hpa, error in failed:
        table.add_row(str(hpa.key), str(hpa.min_replicas), "", f"[red]{error}")
    Console().print(table)
