"""`forescale serve`: the forecast API and its page."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
import uvicorn
from rich.console import Console

from predictor import access_options as access
from predictor.errors import InputError
from predictor.fleet.feed import Feed, PrometheusFeed, SyntheticFeed
from predictor.fleet.fleet import Fleet
from predictor.server.app import create_app
from predictor.server.guard import Tokens, check_exposure
from predictor.server.settings import Settings, read_settings, settings_from

_READERS = 8  # queries that are read at the same time
_GRACE_SECONDS = 5
_SYNTHETIC = ("checkout", "search", "agents")


def serve(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="forescale.yaml (docs/serving.md).")] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Generated demand; needs nothing else.")] = False,
    prometheus: Annotated[str | None, typer.Option(metavar="URL", help="One workload: the server to read.")] = None,
    query: Annotated[str | None, typer.Option(metavar="PROMQL", help="One workload: its demand.")] = None,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="Bundle that `forescale train` wrote.")] = None,
    name: Annotated[str, typer.Option(help="One workload: its name.")] = "workload",
    target: Annotated[float | None, typer.Option(help="Demand that one replica carries.")] = None,
    bearer_token_file: access.TokenFile = None,
    user: access.User = None,
    password_file: access.PasswordFile = None,
    header: access.Headers = None,
    ca_file: access.CaFile = None,
    client_cert: access.Certificate = None,
    client_key: access.Key = None,
    insecure: access.Insecure = False,
    timeout: access.Timeout = 30.0,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1.", rich_help_panel="Server")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8080.", rich_help_panel="Server")] = None,
    tokens_file: Annotated[
        Path | None,
        typer.Option(help="Bearer tokens, one per line; or FORESCALE_API_TOKENS.", rich_help_panel="Server"),
    ] = None,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Serve others without a token.", rich_help_panel="Server")
    ] = False,
) -> None:
    """Serve forecasts: an API for programs, a page for people, metrics for Prometheus.

    Everything is kept in memory and rebuilt from Prometheus after a restart.  Beyond the loopback interface the API
    wants bearer tokens.

    Examples:

      forescale serve --synthetic

      forescale serve --prometheus http://prometheus:9090 --query 'sum(rate(requests_total[5m]))' --model model

      forescale serve --config forescale.yaml --host 0.0.0.0 --tokens-file tokens
    """
    _log_to_stderr()
    sources = [config is not None, synthetic, prometheus is not None or query is not None]
    if sum(sources) != 1:
        raise InputError("give one: --config FILE, --synthetic, or --prometheus URL with --query and --model")
    if config is not None:
        if model is not None:
            raise InputError("--model belongs to one workload by options; with --config, name it in the file")
        settings = read_settings(config)
    elif synthetic:
        settings = _synthetic(model or _demo_model(context.obj), target)
    else:
        settings = _single(locals())
    settings = _on(settings, host, port, tokens_file, allow_anonymous)
    tokens = Tokens.load(settings.server, os.environ)
    check_exposure(settings.server, tokens)
    feed: Feed
    if synthetic:
        feed = SyntheticFeed(context.obj.make_synthetic)
    else:
        if settings.prometheus is None:
            raise InputError(f"{config}: no `prometheus:`; say where demand is read")
        feed = PrometheusFeed(settings.prometheus.access(dict(os.environ)))
    with ThreadPoolExecutor(_READERS, thread_name_prefix="forescale-reader") as readers:
        run(settings, Fleet(settings, feed, readers), tokens)


def run(settings: Settings, fleet: Fleet, tokens: Tokens, *, announce: Callable[[str], None] | None = None) -> None:
    """Serve until a signal ends it; raises InputError when the address cannot be used."""
    app = create_app(settings, fleet, tokens)
    server = StoppableServer(
        uvicorn.Config(
            app,
            host=settings.server.host,
            port=settings.server.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        ),
        before_stop=app.state.context.hub.close,
        announce=announce or (lambda url: _announce(url, fleet)),
    )
    try:
        server.run()
    except SystemExit as leaving:  # uvicorn's way to say that it could not start
        where = f"{settings.server.host}:{settings.server.port}"
        raise InputError(f"{where}: cannot listen there; is the port taken? Choose another --port") from leaving


class StoppableServer(uvicorn.Server):
    """Ends event streams before it waits for connections, and says where it listens."""

    def __init__(
        self, config: uvicorn.Config, *, before_stop: Callable[[], None], announce: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._before_stop, self._announce = before_stop, announce

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn."""
        self._before_stop()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: Any = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            host = self.config.host if ":" not in self.config.host else f"[{self.config.host}]"
            self._announce(f"http://{host}:{port}")


def _announce(url: str, fleet: Fleet) -> None:
    count = len(fleet.settings.workloads)
    kind = "generated demand" if fleet.feed.is_synthetic else "workloads" if count > 1 else "workload"
    Console(stderr=True).print(
        f"Forescale serves {count} {kind} on {url}  (page: {url}/  API: {url}/openapi.json  metrics: {url}/metrics)\n"
        "Ctrl-C ends it.",
        highlight=False,
        soft_wrap=True,
    )


def _synthetic(model: Path, target: float | None) -> Settings:
    workloads = [{"name": name, "query": str(seed)} for seed, name in enumerate(_SYNTHETIC)]
    document: dict[str, Any] = {"model": str(model), "settle_seconds": 1, "workloads": workloads}
    if target is not None:
        document["target_per_replica"] = target
    return settings_from(document, source="--synthetic")


def _demo_model(session: Any) -> Path:
    """The demo's model where there is one, else a new one."""
    place: Path = session.demo_model()
    return place


def _single(given: dict[str, Any]) -> Settings:
    if given["prometheus"] is None or given["query"] is None or given["model"] is None:
        raise InputError("--prometheus, --query and --model belong together; give all three")
    headers = dict(access.pair(text, ":", "--header") for text in given["header"] or [])
    server = {
        "url": given["prometheus"],
        "bearer_token_file": given["bearer_token_file"],
        "username": given["user"],
        "password_file": given["password_file"],
        "headers": headers,
        "ca_file": given["ca_file"],
        "client_certificate": given["client_cert"],
        "client_key": given["client_key"],
        "skip_tls_verification": given["insecure"],
        "timeout_seconds": given["timeout"],
    }
    workload = {"name": given["name"], "query": given["query"], "target_per_replica": given["target"]}
    return settings_from({"prometheus": server, "model": given["model"], "workloads": [workload]}, source="the options")


def _on(settings: Settings, host: str | None, port: int | None, tokens: Path | None, anonymous: bool) -> Settings:
    """What was typed wins over what is written."""
    changes: dict[str, Any] = {}
    if host is not None:
        changes["host"] = host
    if port is not None:
        changes["port"] = port
    if tokens is not None:
        changes["tokens_file"] = tokens
    if anonymous:
        changes["allow_anonymous"] = True
    return settings.model_copy(update={"server": settings.server.model_copy(update=changes)})


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("uvicorn.error", "uvicorn", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
