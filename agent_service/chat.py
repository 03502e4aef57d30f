"""`forescale agent chat`: a conversation with the agent in a terminal, by the official client."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent_service.assistant.printable import printable
from agent_service.deciding import decide
from agent_service.errors import AgentServiceError, SettingsError, UnreachableError

if TYPE_CHECKING:
    from langgraph_sdk.client import SyncLangGraphClient

_URL = "http://127.0.0.1:2024"
_ASSISTANT = "operations"
_ANSWERING = ("answer", "plan")  # nodes of the assistant that speak; plan only to help
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
    url: Annotated[str, typer.Option(help="Where `forescale agent serve` listens.")] = _URL,
    thread: Annotated[str | None, typer.Option(metavar="UUID", help="Go on with an earlier conversation.")] = None,
    graph: Annotated[
        str | None, typer.Option(help="Which of the graphs that are served; default: the thread's, or operations.")
    ] = None,
    workload: Annotated[str | None, typer.Option(help="What questions are about when they name nothing.")] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Where a workload is looked for that is named without its namespace.")
    ] = None,
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
    with _explained(url, thread), _connect(url) as client:
        thread_id = thread or client.threads.create()["thread_id"]
        if graph is None:
            graph = _ASSISTANT if thread is None else _graph_of(client, thread)
        given = {"namespace": namespace, "workload": workload, "allow_actions": allow_actions}
        # Other graphs have contexts of their own.
        context = {name: value for name, value in given.items() if value is not None} if graph == _ASSISTANT else {}
        conversation = Conversation(client, thread_id, graph, context, url)
        if question is not None:
            turn = conversation.ask(question, say=None if as_json else _say)
            _finish(conversation, turn, as_json=as_json)
            return
        typer.echo(f"Thread {thread_id}. An empty line ends it.", err=True)
        if thread is not None:
            _settle(conversation, conversation.waiting())
        for line in _lines():
            try:
                turn = _settle(conversation, conversation.ask(line, say=_say))
            except KeyboardInterrupt:
                typer.echo("\nStopped. Ask something else, or leave with an empty line.", err=True)
                continue
            if turn.error is not None:
                typer.secho(printable(turn.error), fg="red", err=True)


class Conversation:
    """One thread; says each answer once, when it is one."""

    def __init__(
        self, client: SyncLangGraphClient, thread_id: str, graph: str, context: dict[str, Any], url: str = _URL
    ) -> None:
        self._client, self.thread_id, self._graph, self._context, self._url = client, thread_id, graph, context, url

    @property
    def command(self) -> str:
        """What whoever comes back types."""
        options = "" if self._url == _URL else f" --url {self._url}"
        options += " --allow-actions" if self._context.get("allow_actions") else ""
        return f"forescale agent chat{options} --thread {self.thread_id}"

    @property
    def expires(self) -> str:
        """Of what waits for a decision."""
        return ", until it expires" if self._graph == _ASSISTANT else ""

    def ask(self, question: str, *, say: Callable[[str], None] | None = None) -> Turn:
        """Begin a run with a question."""
        return self._run(say, input={"messages": [{"role": "user", "content": question}]})

    def resume(self, decision: Any, *, say: Callable[[str], None] | None = None) -> Turn:
        """Answer what the agent asked of a person."""
        return self._run(say, command={"resume": decision})

    def waiting(self) -> Turn:
        """What an earlier run on this thread still asks of a person."""
        tasks: Any = self._client.threads.get_state(self.thread_id).get("tasks") or []
        return Turn(interrupts=[each for task in tasks for each in task.get("interrupts") or []])

    def _run(self, say: Callable[[str], None] | None, **what: Any) -> Turn:
        turn = Turn()
        try:
            return self._followed(turn, say or (lambda _: None), what)
        except KeyboardInterrupt:
            if turn.run_id:  # nobody waits for it any more
                with suppress(Exception):
                    self._client.runs.cancel(self.thread_id, turn.run_id)
            raise

    def _followed(self, turn: Turn, told: Callable[[str], None], what: dict[str, Any]) -> Turn:
        said: set[Any] = set()
        parts = self._client.runs.stream(
            self.thread_id, self._graph, stream_mode="updates", context=self._context or None, **what
        )
        for part in parts:
            data: Any = part.data
            if part.event == "metadata":
                turn.run_id = data["run_id"]
                turn.interrupts.clear()  # of an attempt before, which asks anew
            elif part.event == "error":
                turn.error = f"{data.get('error')}: {data.get('message')}"
            elif part.event == "updates":
                turn.interrupts += data.get("__interrupt__") or []
                for answer in answers_in(data, only=_ANSWERING if self._graph == _ASSISTANT else None):
                    if answer.get("id") is None or answer["id"] not in said:
                        said.add(answer.get("id"))
                        turn.answer = str(answer["content"])
                        told(turn.answer)
        if not turn.answer and not turn.interrupts and turn.error is None and self._graph != _ASSISTANT:
            values: Any = self._client.threads.get_state(self.thread_id).get("values")
            turn.answer = _last_of(values)
            told(turn.answer)
        return turn


def _last_of(values: Any) -> str:
    """What a graph that sends no message of its own has come to."""
    messages = values.get("messages") if isinstance(values, dict) else None
    last = messages[-1] if isinstance(messages, list) and messages else None
    if isinstance(last, dict) and last.get("content") and last.get("type") != "human" and last.get("role") != "user":
        return str(last["content"])
    return json.dumps(values, ensure_ascii=False)


def _graph_of(client: SyncLangGraphClient, thread_id: str) -> str:
    """Of an earlier conversation: an answer given to another graph would be lost on both."""
    metadata: Any = client.threads.get(thread_id).get("metadata") or {}
    return str(metadata.get("graph_id") or _ASSISTANT)


def answers_in(update: dict[str, Any], *, only: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """Messages to the person.  only: nodes that speak to him; None where we do not know the graph."""
    for node, change in update.items():
        if isinstance(change, dict) and (only is None or node in only):
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
        turn = _settle(conversation, turn)
    if turn.error is not None:
        raise UnreachableError(f"the run failed: {printable(turn.error)}")


def _settle(conversation: Conversation, turn: Turn) -> Turn:
    """Ask the person as long as something waits for him; without an answer it goes on waiting."""
    typer.echo("")
    while turn.interrupts:
        try:
            decisions = decide(turn.interrupts)
        except typer.Abort:
            typer.echo(
                f"\nNothing was changed. It still waits for your decision{conversation.expires}: {conversation.command}"
            )
            return Turn(turn.answer, run_id=turn.run_id)
        turn = conversation.resume(decisions, say=_say)
        typer.echo("")
    return turn


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
    typer.echo(printable(text))


def _connect(url: str) -> SyncLangGraphClient:
    from langgraph_sdk import get_sync_client

    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"--url {url}: give an http or https URL, such as http://127.0.0.1:2024")
    return get_sync_client(url=url, api_key=os.environ.get(KEY_VARIABLE, ""))


@contextmanager
def _explained(url: str, thread: str | None) -> Iterator[None]:
    """Turns what the client raises into ours."""
    import httpx
    from langgraph_sdk.errors import APIStatusError

    try:
        yield
    except APIStatusError as error:
        words = {
            401: f"it knows no such API key; set {KEY_VARIABLE} to one that it knows",
            404: "no such thread there; leave --thread out" if thread else "no agent answers there, but something else",
        }
        is_theirs = (
            error.status_code == httpx.codes.TOO_MANY_REQUESTS or error.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
        )
        kind: type[AgentServiceError] = UnreachableError if is_theirs else SettingsError
        raise kind(f"{url}: {words.get(error.status_code, error.message)}") from error
    except httpx.HTTPError as error:
        raise UnreachableError(
            f"{url}: no agent answers ({type(error).__name__}); start one with: forescale agent serve, or say --url"
        ) from error
