"""`forescale agent chat`: a conversation with the agent in a terminal, by the official client."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent_service.errors import SettingsError, UnreachableError

if TYPE_CHECKING:
    from langgraph_sdk.client import SyncLangGraphClient

_MODES = ["messages-tuple", "updates"]
KEY_VARIABLE = "AGENT_API_KEY"


@dataclass(slots=True)
class Turn:
    """What came of one question."""

    answer: str = ""
    interrupts: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    run_id: str = ""


def chat(
    question: Annotated[str | None, typer.Argument(help="Ask this, and leave; without it, a conversation.")] = None,
    url: Annotated[str, typer.Option(help="Where `forescale agent serve` listens.")] = "http://127.0.0.1:2024",
    thread: Annotated[str | None, typer.Option(metavar="UUID", help="Go on with an earlier conversation.")] = None,
    graph: Annotated[str, typer.Option(help="Which of the graphs that are served.")] = "operations",
    workload: Annotated[str | None, typer.Option(help="What questions are about when they name nothing.")] = None,
    namespace: Annotated[str, typer.Option(help="Namespace of the workload's PredictiveAutoscaler.")] = "default",
    allow_actions: Annotated[bool, typer.Option(help="Let it propose changes; each waits for your approval.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With a question: print one JSON object.")] = False,
) -> None:
    """Ask the agent why it scaled, what it expects, how good it has been, what would be if.

    An API key is taken from AGENT_API_KEY.

    Examples:

      forescale agent chat

      forescale agent chat "why did you scale shop/agent at 10:03?"

      forescale agent chat --allow-actions "set max replicas of shop/agent to 12"
    """
    if as_json and question is None:
        raise SettingsError("--json prints the answer to one question; give it: forescale agent chat --json 'QUESTION'")
    context = {"namespace": namespace, "allow_actions": allow_actions}
    if workload is not None:
        context["workload"] = workload
    with _explained(url), _connect(url) as client:
        thread_id = thread or client.threads.create()["thread_id"]
        conversation = Conversation(client, thread_id, graph, context)
        if question is not None:
            turn = conversation.ask(question, say=None if as_json else _say)
            _finish(conversation, turn, as_json=as_json)
            return
        typer.echo(f"Thread {thread_id}. An empty line ends it.", err=True)
        for line in _lines():
            turn = conversation.ask(line, say=_say)
            typer.echo("")
            while turn.interrupts:
                turn = conversation.resume(_decide(turn.interrupts), say=_say)
                typer.echo("")
            if turn.error is not None:
                typer.secho(turn.error, fg="red", err=True)


class Conversation:
    """One thread; says what comes as it comes."""

    def __init__(self, client: SyncLangGraphClient, thread_id: str, graph: str, context: dict[str, Any]) -> None:
        self._client, self.thread_id, self._graph, self._context = client, thread_id, graph, context

    def ask(self, question: str, *, say: Callable[[str], None] | None = None) -> Turn:
        """Begin a run with a question."""
        return self._run(say, input={"messages": [{"role": "user", "content": question}]})

    def resume(self, decision: dict[str, Any], *, say: Callable[[str], None] | None = None) -> Turn:
        """Answer what the agent asked of a person."""
        return self._run(say, command={"resume": decision})

    def _run(self, say: Callable[[str], None] | None, **what: Any) -> Turn:
        turn, told = Turn(), say or (lambda _: None)
        streamed: set[str] = set()
        parts = self._client.runs.stream(
            self.thread_id, self._graph, stream_mode=_MODES, context=self._context, **what  # type: ignore[arg-type]
        )  # fmt: skip
        for part in parts:
            data: Any = part.data
            if part.event == "metadata":
                turn.run_id = data["run_id"]
            elif part.event == "error":
                turn.error = f"{data.get('error')}: {data.get('message')}"
            elif part.event == "messages":
                message = data[0]
                if str(message.get("type", "")).startswith("AI") and isinstance(message.get("content"), str):
                    streamed.add(message.get("id"))
                    told(message["content"])
            elif part.event == "updates":
                turn.interrupts += data.get("__interrupt__") or []
                for answer in _answers(data):
                    turn.answer = answer["content"]
                    if answer.get("id") not in streamed:
                        told(answer["content"])
        return turn


def _answers(update: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for change in update.values():
        if isinstance(change, dict):
            for message in change.get("messages") or ():
                if isinstance(message, dict) and message.get("type") == "ai" and message.get("content"):
                    yield message


def _finish(conversation: Conversation, turn: Turn, *, as_json: bool) -> None:
    if as_json:
        told = {
            "thread_id": conversation.thread_id,
            "run_id": turn.run_id,
            "answer": turn.answer,
            "interrupts": turn.interrupts,
            "error": turn.error,
        }
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo("")
        while turn.interrupts:
            turn = conversation.resume(_decide(turn.interrupts), say=_say)
            typer.echo("")
    if turn.error is not None:
        raise UnreachableError(f"the run failed: {turn.error}")


def _decide(interrupts: list[dict[str, Any]]) -> dict[str, Any]:
    """Ask the person, for every action that waits."""
    decisions: list[dict[str, Any]] = []
    for interrupt in interrupts:
        for action in interrupt.get("value", {}).get("action_requests") or [{}]:
            typer.echo(f"\nIt proposes {action.get('name', 'something')}: {json.dumps(action.get('args', {}))}")
            if action.get("description"):
                typer.echo(action["description"])
            answer = typer.prompt("approve, edit or reject", default="reject").strip().lower()
            if answer.startswith("a"):
                decisions.append({"type": "approve"})
            elif answer.startswith("e"):
                edited = typer.prompt("arguments as JSON", default=json.dumps(action.get("args", {})))
                try:
                    args = json.loads(edited)
                except ValueError:
                    typer.secho("That is no JSON: rejected.", fg="red", err=True)
                    decisions.append({"type": "reject", "message": "the edited arguments were no JSON"})
                    continue
                decisions.append({"type": "edit", "edited_action": {"name": action.get("name"), "args": args}})
            else:
                decisions.append({"type": "reject", "message": typer.prompt("why", default="")})
    return {"decisions": decisions}


def _lines() -> Iterator[str]:
    while True:
        try:
            line = typer.prompt("you", default="", show_default=False).strip()
        except typer.Abort:
            return
        if not line:
            return
        yield line


def _say(text: str) -> None:
    typer.echo(text, nl=False)


def _connect(url: str) -> SyncLangGraphClient:
    from langgraph_sdk import get_sync_client

    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"--url {url}: give an http or https URL, such as http://127.0.0.1:2024")
    return get_sync_client(url=url, api_key=os.environ.get(KEY_VARIABLE, ""))


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns what the client raises into ours."""
    import httpx
    from langgraph_sdk.errors import APIStatusError

    try:
        yield
    except APIStatusError as error:
        words = {401: f"it asks for an API key; set {KEY_VARIABLE}", 404: "no such thread there; leave --thread out"}
        raise SettingsError(f"{url}: {words.get(error.status_code, error.message)}") from error
    except httpx.HTTPError as error:
        raise UnreachableError(
            f"{url}: no agent answers ({type(error).__name__}); start one with: forescale agent serve"
        ) from error
