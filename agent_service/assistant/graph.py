"""The assistant's graph: plan -> tools -> collect -> answer; propose -> approve -> apply -> answer.

Who plans and who words the answer is a `Planner`; tools, evidence and approval are the same for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, RetryPolicy, TimeoutPolicy

from agent_service.assistant.answering.answers import BY_RULES, HELP, by_template
from agent_service.assistant.answering.evidence import gathered
from agent_service.assistant.answering.rules import DETERMINISTIC, Planner, RulePlanner
from agent_service.assistant.caller import CallerError, read_caller
from agent_service.assistant.changing.approval import ApprovalNodes
from agent_service.assistant.looking.known import known_workloads
from agent_service.assistant.looking.planning import calls_for, new_calls
from agent_service.assistant.looking.sources import Sources
from agent_service.assistant.looking.tools import use, utc_now
from agent_service.assistant.memory import is_looked_at, note_on, noted, recalled, remembered
from agent_service.assistant.printable import printable
from agent_service.assistant.question.grammar import Intent, understand
from agent_service.assistant.settings import AssistantSettings
from agent_service.assistant.state import OpsContext, OpsState

_ROUNDS = 4  # of tools, for a planner that looks again at what it found
_IN_VAIN = "the tools that it chose found nothing"
_QUICK = TimeoutPolicy(run_timeout=40, idle_timeout=30)  # three requests of a source at its slowest, one after another
_SPARE_SECONDS = 10.0  # of a node beside its planner: known workloads, and checking


def assistant_graph(
    settings: AssistantSettings,
    *,
    planner: Planner | None = None,
    sources: Sources | None = None,
    now: Callable[[], datetime] = utc_now,
    spare_seconds: float = _SPARE_SECONDS,
) -> StateGraph[OpsState, OpsContext, MessagesState, OpsState]:
    """Not compiled, so that whoever serves it chooses where its state is kept."""
    planner, sources = planner or RulePlanner(), sources or Sources(settings)
    nodes, approval = _Nodes(planner, sources, now), ApprovalNodes(settings, sources, now)
    slow = timeout_for(planner.seconds, spare_seconds)
    # A caller says messages.  What he sends beside them never reaches the state: the nodes believe it, or remember it.
    graph: StateGraph[OpsState, OpsContext, MessagesState, OpsState] = StateGraph(
        OpsState, context_schema=OpsContext, input_schema=MessagesState
    )
    once_more = RetryPolicy(max_attempts=2)
    graph.add_node("plan", nodes.plan, destinations=("tools", "propose", "answer", END), timeout=slow)
    graph.add_node("tools", nodes.tools, destinations=("collect",), timeout=_QUICK, retry_policy=once_more)
    graph.add_node("collect", nodes.collect, destinations=("tools", "propose", "answer"), timeout=slow)
    # They take a runtime and a configuration, a pair that langgraph's types do not know.
    propose: Any = approval.propose
    approve: Any = approval.approve
    apply: Any = approval.apply
    graph.add_node("propose", propose, destinations=("approve", "answer"), timeout=_QUICK)
    graph.add_node("approve", approve, destinations=("apply", "approve", "answer"), timeout=_QUICK)
    graph.add_node("apply", apply, destinations=("answer",), timeout=_QUICK)
    graph.add_node("answer", nodes.answer, timeout=slow)
    graph.add_edge(START, "plan")
    graph.add_edge("answer", END)
    return graph


def timeout_for(planner_seconds: float, spare_seconds: float = _SPARE_SECONDS) -> TimeoutPolicy:
    """Of a node in which a planner is asked: longer than the planner's own time, also when nothing is heard of it.

    A planner that is too slow is replaced by the rules; a node that is fails the run.
    """
    return TimeoutPolicy(run_timeout=planner_seconds + 2 * spare_seconds, idle_timeout=planner_seconds + spare_seconds)


class _Nodes:
    """The nodes that look and tell, with what they look at."""

    def __init__(self, planner: Planner, sources: Sources, now: Callable[[], datetime]) -> None:
        self._planner, self._sources, self._now = planner, sources, now

    async def plan(self, state: OpsState, runtime: Runtime[OpsContext]) -> Command[Any]:
        """Understand the question, and choose tools."""
        now, text = self._now(), _asked(state)
        begun = _begun(text, now)
        try:
            caller = read_caller(runtime.context)
        except CallerError as error:
            return Command(update=begun | {"outcome": f"I cannot answer that: {error}."}, goto="answer")
        known = await known_workloads(self._sources) if text.strip() else []
        before = recalled(state)
        understood = understand(text, known, now, namespace=caller.namespace, workload=caller.workload, before=before)
        begun["about"] = remembered(understood, before)
        if understood.problem and not known:
            understood = replace(understood, problem=f"{understood.problem} ({self._sources.who_knows})")
        begun |= {"intent": understood.intent.value}
        note = note_on(understood, known)
        told = {"text": text, "known": known, "now": now.isoformat(), "note": note}
        begun["question"] = _plain(asdict(understood)) | told
        if understood.intent is Intent.HELP:
            return Command(update=begun | {"messages": [_message(HELP, BY_RULES, DETERMINISTIC)]}, goto=END)
        if understood.intent is Intent.SET_FIELD:
            return Command(update=begun, goto="answer" if understood.problem else "propose")
        usual = [] if understood.problem else calls_for(understood, now)
        chosen = await self._planner.plan(state["messages"], begun["question"], usual)
        calls = new_calls(chosen.calls, [])
        begun |= {"calls": calls, "usual": usual, "fallback": chosen.fallback, "mode": chosen.mode}
        return Command(update=begun, goto="tools" if calls else "answer")

    async def tools(self, state: OpsState) -> Command[Literal["collect"]]:
        """Use them, side by side."""
        now = self._now()
        findings = await asyncio.gather(
            *(use(call["tool"], call["args"], self._sources, now) for call in state["calls"])
        )
        known = state["evidence"]
        evidence, made = [*known, *gathered(findings, first=len(known) + 1)], [*state.get("made", []), *state["calls"]]
        left = state["steps_left"] - 1
        return Command(update={"evidence": evidence, "made": made, "steps_left": left}, goto="collect")

    async def collect(self, state: OpsState) -> Command[Literal["tools", "propose", "answer"]]:
        """Whether what was found is enough."""
        if state["steps_left"] <= 0 or state["fallback"]:
            return _enough(state, state["fallback"])
        chosen = await self._planner.look_again(state["messages"], state["question"], state["evidence"])
        calls = new_calls(chosen.calls, state.get("made", []))
        if chosen.fallback or not calls:  # also when it chose only what was looked at already
            return _enough(state, chosen.fallback)
        return Command(update={"calls": calls}, goto="tools")

    async def answer(self, state: OpsState) -> dict[str, Any]:
        """Say what was found; a model's words count only as far as evidence carries them."""
        question, evidence, intent = state.get("question") or {}, state.get("evidence") or [], state.get("intent", "")
        if state.get("outcome"):
            text = noted(state["outcome"], question)
            return {"messages": [_message(text, BY_RULES, DETERMINISTIC)], "mode": DETERMINISTIC}
        plain = by_template(question, evidence, intent=intent)
        if (
            question.get("problem") and not evidence and not state.get("fallback")
        ):  # what the rules ask back needs no model's words
            return {"messages": [_message(plain, BY_RULES, DETERMINISTIC)], "mode": DETERMINISTIC}
        said = await self._planner.word(state["messages"], question, evidence, plain, state.get("fallback", ""))
        text = noted(said.text, question) if is_looked_at(question, state.get("made", [])) else said.text
        return {"messages": [_message(text, said.label, said.mode)], "mode": said.mode}


def _enough(state: OpsState, fallback: str) -> Command[Any]:
    """To the answer; by way of the rules' own calls, where nothing was found and they were not made."""
    is_in_vain = all("error" in each for each in state["evidence"])
    calls = new_calls(state.get("usual", []), state.get("made", [])) if is_in_vain else []
    fallback = fallback or (_IN_VAIN if calls else "")
    update: dict[str, Any] = {"fallback": fallback, "mode": DETERMINISTIC} if fallback else {}
    return Command(update=update | {"calls": calls} if calls else update, goto="tools" if calls else "answer")


def _begun(text: str, now: datetime) -> dict[str, Any]:
    """What every question begins with."""
    return {
        "intent": Intent.UNKNOWN.value,
        "question": {"text": text, "now": now.isoformat()},
        "calls": [],
        "made": [],
        "usual": [],
        "evidence": [],
        "proposal": None,
        "mistakes": [],
        "decision": None,
        "outcome": "",
        "steps_left": _ROUNDS,
        "mode": DETERMINISTIC,
        "fallback": "",
    }


def _message(text: str, label: str, mode: str) -> AIMessage:
    """An answer, which says who worded it.  Labels and messages of sources reach terminals: nothing there obeys."""
    return AIMessage(content=printable(f"{text}\n\n{label}"), response_metadata={"planner": mode})


def _asked(state: OpsState) -> str:
    for message in reversed(state["messages"]):
        if isinstance(message, HumanMessage):
            return str(message.text)
    return ""


def _plain(question: dict[str, Any]) -> dict[str, Any]:
    """As JSON: checkpoints know no types of ours."""
    return {key: value.isoformat() if isinstance(value, datetime) else _name(value) for key, value in question.items()}


def _name(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value
