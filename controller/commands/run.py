"""`forescale controller run`."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from controller.commands import options as k
from controller.keda.board import OpinionBoard
from controller.keda.server import ScalerServer, ScalerSettings
from controller.live.process import Process, ProcessSettings
from controller.live.prometheus_pool import PrometheusPool
from predictor import access_options as o
from predictor.client import ForecastClient
from predictor.client import Settings as ClientSettings

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CYCLES_OF_AN_OPINION = 3  # that nobody renews: so many cycles may fail
_SERVERS, _TIMING, _KEDA = "Servers", "Timing", "KEDA"


def run(
    prometheus: Annotated[str, typer.Option(metavar="URL", help="Where demand is read.", rich_help_panel=_SERVERS)],
    forecasts: Annotated[
        str, typer.Option(metavar="URL", help="The forecast server (`forescale serve`).", rich_help_panel=_SERVERS)
    ],
    forecasts_token_file: Annotated[
        Path | None, typer.Option(help="Its bearer token; or FORESCALE_API_TOKEN.", rich_help_panel=_SERVERS)
    ] = None,
    forecasts_ca_file: Annotated[Path | None, typer.Option(help="CA that signed it.", rich_help_panel=_SERVERS)] = None,
    kubeconfig: k.Kubeconfig = None,
    context: k.ContextName = None,
    namespace: k.Namespace = None,
    identity: Annotated[str | None, typer.Option(help="Name in the election; the host's name.")] = None,
    lease_namespace: Annotated[str | None, typer.Option(help="Of the Lease; the pod's own, or forescale.")] = None,
    lease_seconds: Annotated[float, typer.Option(help="Until others may take over.", rich_help_panel=_TIMING)] = 15.0,
    cycle: Annotated[float, typer.Option(help="Seconds between cycles.", rich_help_panel=_TIMING)] = 15.0,
    hpa_sync: Annotated[
        float, typer.Option(help="The cluster's --horizontal-pod-autoscaler-sync-period.", rich_help_panel=_TIMING)
    ] = 15.0,
    downscale_stabilization: Annotated[
        int,
        typer.Option(
            help="The cluster's --horizontal-pod-autoscaler-downscale-stabilization, seconds.", rich_help_panel=_TIMING
        ),
    ] = 300,
    host: Annotated[str, typer.Option(help="Address of metrics and probes.")] = "0.0.0.0",  # noqa: S104 - see Process
    port: Annotated[int, typer.Option(help="Port of metrics and probes.")] = 8081,
    keda_host: Annotated[
        str, typer.Option(help="Address of the scaler that KEDA asks.", rich_help_panel=_KEDA)
    ] = "0.0.0.0",  # noqa: S104 - see ScalerSettings
    keda_port: Annotated[int, typer.Option(help="Its port; 0 is none.", rich_help_panel=_KEDA)] = 6000,
    keda_tls_cert: Annotated[
        Path | None, typer.Option(help="Its certificate, PEM; read again when it changes.", rich_help_panel=_KEDA)
    ] = None,
    keda_tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate.", rich_help_panel=_KEDA)] = None,
    keda_tls_client_ca: Annotated[
        Path | None, typer.Option(help="Only clients with a certificate of this CA.", rich_help_panel=_KEDA)
    ] = None,
    bearer_token_file: o.TokenFile = None,
    user: o.User = None,
    password_file: o.PasswordFile = None,
    header: o.Headers = None,
    ca_file: o.CaFile = None,
    client_cert: o.Certificate = None,
    client_key: o.Key = None,
    insecure: o.Insecure = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds for an answer of either server; two thirds of a cycle, at most 10.", rich_help_panel=_TIMING
        ),
    ] = None,
) -> None:
    """Watch PredictiveAutoscalers, keep score, and hold the floors of those in Active mode.

    Of several replicas one leads, by a Lease; nothing is written without holding it.

    Examples:

      forescale controller run --prometheus http://prometheus:9090 --forecasts http://forescale:8080

      forescale controller run --kubeconfig ~/.kube/config --namespace shop --prometheus URL --forecasts URL
    """
    log_to_stderr()
    # A slow server must not hold up what is decided without it.  No retries: the next cycle asks again.
    patience = timeout if timeout is not None else max(min(10.0, cycle * 2 / 3), 1.0)
    access = o.prometheus_access(
        prometheus,
        bearer_token_file=bearer_token_file,
        user=user,
        password_file=password_file,
        header=header,
        ca_file=ca_file,
        client_cert=client_cert,
        client_key=client_key,
        insecure=insecure,
        timeout=patience,
        retries=0,
    )
    client = ClientSettings.load(
        forecasts,
        os.environ,
        token_file=forecasts_token_file,
        ca_file=forecasts_ca_file,
        timeout_seconds=patience,
        retries=0,
    )
    name = identity or f"{socket.gethostname()}-{os.getpid()}"
    settings = ProcessSettings(
        identity=name,
        lease_namespace=lease_namespace or _own_namespace(),
        namespace=namespace,
        cycle_seconds=cycle,
        hpa_sync_seconds=hpa_sync,
        downscale_stabilization_seconds=downscale_stabilization,
        host=host,
        port=port,
        lease_seconds=lease_seconds,
        renew_seconds=lease_seconds * 2 / 3,
        retry_seconds=lease_seconds * 2 / 15,
    )
    keda = None
    if keda_port:
        keda = ScalerSettings(keda_host, keda_port, keda_tls_cert, keda_tls_key, keda_tls_client_ca)
    with ExitStack() as open_things:
        api = k.connect(kubeconfig, context, name)
        open_things.callback(api.close)
        forecast_client = open_things.enter_context(ForecastClient(client))
        server = PrometheusPool(access)
        open_things.callback(server.close)
        board = OpinionBoard(_CYCLES_OF_AN_OPINION * cycle)
        process = Process(
            settings,
            api,
            server,
            forecast_client,
            version=k.installed_version(),
            publishers=(board,),
            followers=(board,),
            has_scaler=keda is not None,
        )
        if keda is not None:
            scaler = ScalerServer(keda, board, process.metrics.registry)
            open_things.callback(scaler.close)
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda *_: process.stop())
        typer.echo(f"forescale controller {name}: metrics on http://{host}:{process.web.port}/metrics", err=True)
        process.run()


def log_to_stderr() -> None:
    """One line per event, with its instant in UTC."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def _own_namespace() -> str:
    given = os.environ.get("POD_NAMESPACE")
    if given:
        return given
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return "forescale"
