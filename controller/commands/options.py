"""The options that every command with a cluster shares."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from controller.kube.api import KubeApi

_CLUSTER = "Cluster"

Kubeconfig = Annotated[
    Path | None,
    typer.Option(help="Else the pod's own account, KUBECONFIG or ~/.kube/config.", rich_help_panel=_CLUSTER),
]
ContextName = Annotated[str | None, typer.Option("--context", help="Of the kubeconfig.", rich_help_panel=_CLUSTER)]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Only this one.", rich_help_panel=_CLUSTER)]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


def connect(kubeconfig: Path | None, context: str | None, who: str) -> KubeApi:
    """The cluster, as `forescale-controller/VERSION (who)`, which the audit log shows."""
    return KubeApi.connect(
        kubeconfig=kubeconfig, context=context, agent=f"forescale-controller/{installed_version()} ({who})"
    )


def installed_version() -> str:
    """Of the package; a source tree on the path has none."""
    try:
        return version("forescale")
    except PackageNotFoundError:
        return "source"
