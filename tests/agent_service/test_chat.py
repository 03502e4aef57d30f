"""The conversation in a terminal: what is shown, and what a person's typing decides."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import typer
from langgraph_sdk.client import SyncLangGraphClient
from typer.testing import CliRunner

from agent_service import chat
from agent_service.chat import Conversation
from agent_service.deciding import decide

PROPOSED = [{"value": {"action_requests": [
    {"name": "set_field", "args": {"field": "max replicas", "value": 12}, "description": "Set \x1b[2Jmax replicas"}
]}}]  # fmt: skip


def typed(text: str) -> tuple[list[dict[str, Any]], str, int]:
    """What was decided, what was shown, and the exit code."""
    decisions: list[dict[str, Any]] = []
    app = typer.Typer()

    @app.command()
    def main() -> None:
        decisions.extend(decide(PROPOSED)["decisions"])

    result = CliRunner().invoke(app, input=text)
    return decisions, result.output, result.exit_code


@pytest.mark.parametrize("text", ["a\n", "approve\n", " Approve \n"])
def test_approve_approves(text: str) -> None:
    assert typed(text)[0] == [{"type": "approve"}]


@pytest.mark.parametrize(
    "word", ["abort", "again", "always no? ask bob", "y", "yes", "exit", "end", "no", "rejected", "1"]
)
def test_any_other_word_decides_nothing_and_is_asked_again(word: str) -> None:
    decisions, shown, _ = typed(f"{word}\nr\nnot today\n")

    assert decisions == [{"type": "reject", "message": "not today"}]
    assert "Type approve, edit or reject" in shown


def test_an_edit_is_asked_for_until_it_is_json_and_enter_alone_is_none() -> None:
    decisions, shown, _ = typed('e\nfifteen\n\n[15]\n\n{"value": 15}\n')

    assert decisions == [{"type": "edit", "edited_action": {"name": "set_field", "args": {"value": 15}}}]
    assert shown.count("That is no JSON object") == 2


@pytest.mark.parametrize("text", ["", "abort\n", "e\n", "r\n"])
def test_leaving_without_an_answer_decides_nothing(text: str) -> None:
    decisions, _, code = typed(text)

    assert decisions == []
    assert code != 0


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    assert "Set max replicas" in typed("a\n")[1]


def asked(interrupts: list[dict[str, Any]], text: str) -> tuple[Any, str]:
    found: list[Any] = []
    app = typer.Typer()

    @app.command()
    def main() -> None:
        found.append(decide(interrupts))

    shown = CliRunner().invoke(app, input=text).output
    return found[0], shown


@pytest.mark.parametrize(
    ("value", "shows", "text", "answer"),
    [
        ("Are you sure?", "Are you sure?", "yes\n", "yes"),
        ({"question": "Which one?"}, '{"question": "Which one?"}', "the first\n", "the first"),
        (["a", "b"], '["a", "b"]', '["a"]\n', ["a"]),
        ({"action_requests": "none"}, "action_requests", "{no json\n", "{no json"),
    ],
)
def test_a_graph_that_asks_in_its_own_way_is_answered_in_the_persons(
    value: Any, shows: str, text: str, answer: Any
) -> None:
    found, shown = asked([{"id": "i", "value": value}], text)

    assert (found, shows in shown) == (answer, True)


def test_several_questions_are_answered_each_by_its_id() -> None:
    found, _ = asked([{"id": "one", "value": "first?"}, {"id": "two", **PROPOSED[0]}], "yes\na\n")

    assert found == {"one": "yes", "two": {"decisions": [{"type": "approve"}]}}


class Service:
    """Behind the official client: each run streams what a test wants."""

    def __init__(self, *runs: list[tuple[str, Any]]) -> None:
        self.script = list(runs)
        self.resumed: list[Any] = []
        self.cancelled: list[str] = []
        self.asked: list[str] = []  # graphs
        self.graph, self.values = "operations", dict[str, Any]()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """See httpx.MockTransport."""
        match request.url.path:
            case "/threads":
                return httpx.Response(200, json={"thread_id": "t-1"})
            case "/threads/t-1":
                return httpx.Response(200, json={"thread_id": "t-1", "metadata": {"graph_id": self.graph}})
            case "/threads/t-1/state":
                return httpx.Response(200, json={"tasks": [{"interrupts": PROPOSED}], "values": self.values})
            case "/threads/t-1/runs/stream":
                body = json.loads(request.content)
                self.asked.append(body["assistant_id"])
                if body.get("command"):
                    self.resumed.append(body["command"]["resume"])
                events = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in self.script.pop(0))
                return httpx.Response(200, text=events, headers={"content-type": "text/event-stream"})
            case "/threads/t-1/runs/r/cancel":
                self.cancelled.append("r")
                return httpx.Response(202)
        return httpx.Response(404, json={"detail": request.url.path})

    def client(self) -> SyncLangGraphClient:
        transport = httpx.MockTransport(self.answer)
        return SyncLangGraphClient(httpx.Client(base_url="http://agent", transport=transport))


def message(text: str, key: str = "1") -> dict[str, Any]:
    return {"messages": [{"type": "ai", "id": key, "content": text}]}


def conversation(service: Service, graph: str = "operations") -> Conversation:
    return Conversation(service.client(), "t-1", graph, {})


def test_an_answer_is_shown_once_and_only_when_it_is_one() -> None:
    shown: list[str] = []
    run = [
        ("metadata", {"run_id": "r"}),
        ("updates", {"plan": {"calls": []}}),
        ("updates", {"collect": message("mumbling", "0")}),
        ("updates", {"answer": message("It was 17 [E1].")}),
        ("updates", {"answer": message("It was 17 [E1].")}),
    ]

    turn = conversation(Service(run)).ask("why?", say=shown.append)

    assert (turn.answer, shown, turn.run_id) == ("It was 17 [E1].", ["It was 17 [E1]."], "r")


def test_a_run_that_nobody_waits_for_any_more_is_cancelled() -> None:
    service = Service([("metadata", {"run_id": "r"}), ("updates", {"answer": message("a long story")})])

    def leave(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conversation(service).ask("why?", say=leave)

    assert service.cancelled == ["r"]


def test_help_is_shown_and_every_node_of_a_graph_that_is_not_known() -> None:
    shown: list[str] = []

    conversation(Service([("updates", {"plan": message("I explain")})])).ask("help", say=shown.append)
    conversation(Service([("updates", {"talk": message("hi")})]), "mine").ask("hello", say=shown.append)

    assert shown == ["I explain", "hi"]


def run_chat(monkeypatch: pytest.MonkeyPatch, service: Service, *arguments: str, text: str = "") -> str:
    monkeypatch.setattr(chat, "_connect", lambda _: service.client())
    app = typer.Typer()
    app.command()(chat.chat)
    return CliRunner().invoke(app, list(arguments), input=text).output


def test_leaving_a_proposal_changes_nothing_and_says_that_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service([("updates", {"__interrupt__": PROPOSED})])

    shown = run_chat(monkeypatch, service, "--allow-actions", "set max replicas to 12")

    assert "Nothing was changed. It still waits for your decision" in shown
    assert "forescale agent chat --allow-actions --thread t-1" in shown
    assert service.resumed == []


def test_what_to_type_to_come_back_leads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service([("updates", {"__interrupt__": [{"id": "i", "value": "How bad?"}]})])

    shown = run_chat(monkeypatch, service, "--url", "http://agent:8000", "--graph", "triage", "disk full")

    assert "waits for your decision: forescale agent chat --url http://agent:8000 --thread t-1" in shown


def test_an_earlier_conversation_goes_on_with_its_own_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service([("updates", {"ask": {"level": "high"}})])
    service.graph, service.values = "triage", {"level": "high"}

    shown = run_chat(monkeypatch, service, "--thread", "t-1", text="a\n\n")

    assert service.asked == ["triage"]
    assert '{"level": "high"}' in shown  # what it came to, since it says nothing by itself


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"messages": [{"type": "human", "content": "hi"}, {"type": "ai", "content": "done"}]}, "done"),
        ({"messages": [{"role": "assistant", "content": "Triaged"}]}, "Triaged"),
        ({"messages": [{"role": "user", "content": "hi"}], "level": 1}, '"level": 1'),
        ({}, "{}"),
    ],
)
def test_a_graph_without_messages_is_told_by_what_it_came_to(values: dict[str, Any], shown: str) -> None:
    service, told = Service([("updates", {"work": {"level": 1}})]), list[str]()
    service.values = values

    conversation(service, "triage").ask("go", say=told.append)

    assert shown in told[0]


def test_a_proposal_that_waits_is_put_before_whoever_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service([("updates", {"answer": message("It is 12 now.")})])

    shown = run_chat(monkeypatch, service, "--thread", "t-1", text="a\n\n")

    assert service.resumed == [{"decisions": [{"type": "approve"}]}]
    assert "It is 12 now." in shown


def test_answers_reach_the_terminal_without_what_it_would_obey(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service([("updates", {"answer": message("a\x1b]0;owned\x07b\x1b[2J\u202ec")})])

    assert "abc" in run_chat(monkeypatch, service, "why?")


def asked_again(words: str) -> list[dict[str, Any]]:
    action = {**PROPOSED[0]["value"]["action_requests"][0], "description": f"{words}. Set max replicas"}
    return [{"id": words, "value": {"action_requests": [action]}}]


def test_what_an_attempt_asked_that_was_broken_off_is_not_asked_beside_what_the_next_one_asks() -> None:
    run = [
        ("metadata", {"run_id": "r", "attempt": 1}),
        ("updates", {"__interrupt__": asked_again("lost")}),
        ("metadata", {"run_id": "r", "attempt": 2}),
        ("updates", {"__interrupt__": asked_again("kept")}),
    ]

    turn = conversation(Service(run)).ask("set max replicas to 12")

    assert [each["id"] for each in turn.interrupts] == ["kept"]
