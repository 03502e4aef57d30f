"""`forescale agent`: serve the agent, talk to it, find what is slow."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agent_service.chat import chat
from agent_service.hotspots import hotspots

app = typer.Typer(
    name="agent",
    no_args_is_help=True,
    help="The agent that is scaled, and that explains the scaling.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class KeepCheckpoints(StrEnum):
    """See EngineSettings."""

    ALL = "all"
    LATEST = "latest"


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.")] = 2024,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="memory://, sqlite:///file.db or postgresql://user@host/database; or AGENT_STORE. "
            "Default: sqlite:///forescale-agent.db, a file here.",
        ),
    ] = None,
    slots: Annotated[int, typer.Option(min=1, help="Runs that execute at once.")] = 32,
    queue_limit: Annotated[
        int | None, typer.Option(min=0, help="Runs that may wait before new ones get 429; default four for every slot.")
    ] = None,
    run_seconds: Annotated[float, typer.Option(help="Deadline of a run.")] = 600.0,
    node_seconds: Annotated[
        float | None, typer.Option(help="Deadline of every node that sets none of its own; default: its run's.")
    ] = None,
    drain_seconds: Annotated[float, typer.Option(help="What runs get to end their step at SIGTERM.")] = 45.0,
    lease_seconds: Annotated[float, typer.Option(help="Silence after which another replica takes a run over.")] = 30.0,
    thread_ttl_minutes: Annotated[
        float | None, typer.Option(help="Threads that set no time to live are deleted after it; default: never.")
    ] = None,
    keep_checkpoints: Annotated[
        KeepCheckpoints, typer.Option(help="Of a thread whose run ended well: all its history, or the latest state.")
    ] = KeepCheckpoints.ALL,
    graph: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MODULE:ATTRIBUTE", help="A graph of your own beside ours; or AGENT_GRAPHS. Repeatable."
        ),
    ] = None,
    keys_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="API keys, one name:key a line; or AGENT_API_KEYS.")
    ] = None,
    allow_anonymous: Annotated[bool, typer.Option(help="Serve other machines without API keys.")] = False,
    cors_origin: Annotated[list[str] | None, typer.Option(help="Origin of a browser's page. Repeatable.")] = None,
    webhook_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST[:PORT]", help="Where webhooks may go; or AGENT_WEBHOOK_HOSTS. Repeatable."),
    ] = None,
    langgraph_metrics: Annotated[
        bool, typer.Option("--langgraph-metrics", help="Also the metric names of LangGraph Server (lg_api_*).")
    ] = False,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="One JSON object a line on stdout, one for every run.")
    ] = False,
) -> None:
    """Serve the agent to the official LangGraph client, to `forescale agent chat`, and to anything that speaks HTTP.

    What the assistant may look at comes from the environment: FORESCALE_URL (the forecast API),
    FORESCALE_CONTROLLER_URL, PROMETHEUS_URL.  Who plans: AGENT_PLANNER=deterministic (default), openai (with
    OPENAI_BASE_URL, OPENAI_API_KEY, AGENT_MODEL) or simulated, for load tests.  SIGTERM hands runs over to other
    replicas between two steps.

    Examples:

      forescale agent serve

      forescale agent serve --host 0.0.0.0 --keys-file keys.txt --store postgresql://agent@db/agent --json-logs

      forescale agent serve --graph triage=myapp.graphs:triage --store memory://
    """
    # Imported here, since chat and hotspots need none of it; and light, so that the port is bound early.
    import os

    from agent_service.server.keys import Keys
    from agent_service.server.process import run_service
    from agent_service.server.settings import ServiceSettings, graphs_from, store_from, webhook_hosts_from
    from agent_service.server.startup_logs import log_for_machines, log_for_people

    if json_logs:
        log_for_machines()
    else:
        log_for_people()
    settings = ServiceSettings(
        host=host,
        port=port,
        store=store_from(store),
        slots=slots,
        queue_limit=queue_limit,
        run_seconds=run_seconds,
        node_seconds=node_seconds,
        thread_ttl_minutes=thread_ttl_minutes,
        keep_checkpoints=keep_checkpoints.value,
        drain_seconds=drain_seconds,
        lease_seconds=lease_seconds,
        keys_file=keys_file,
        allow_anonymous=allow_anonymous,
        cors_origins=tuple(cors_origin or ()),
        webhook_hosts=webhook_hosts_from(webhook_host or []),
        graphs=graphs_from(graph or []),
        has_langgraph_metrics=langgraph_metrics,
    )
    keys = Keys.load(keys_file, os.environ)
    raise typer.Exit(run_service(settings, keys, announce=_announce))


def _announce(url: str) -> None:
    typer.echo(
        f"Forescale's agent serves on {url}  (metrics: {url}/metrics, talk to it: forescale agent chat --url {url})\n"
        "Ctrl-C ends it.",
        err=True,
    )


app.command()(chat)
app.command()(hotspots)
