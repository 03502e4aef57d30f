"""The assistant's graph: plan -> tools -> collect -> answer; propose -> approve -> apply -> answer.

Who plans and who words the answer is a `Planner`; tools, evidence and approval are the same for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, RetryPolicy, TimeoutPolicy, interrupt

from agent_service.assistant import changes
from agent_service.assistant.answers import BY_RULES, HELP, by_template
from agent_service.assistant.evidence import gathered
from agent_service.assistant.grammar import Intent, understand
from agent_service.assistant.planner import Planner, RulePlanner
from agent_service.assistant.planning import calls_for
from agent_service.assistant.settings import AssistantSettings
from agent_service.assistant.sources import SourceError, Sources
from agent_service.assistant.state import OpsContext, OpsState
from agent_service.assistant.tools import use, utc_now

_ROUNDS = 4  # of tools, for a planner that looks again at what it found
_QUICK = TimeoutPolicy(run_timeout=30)
_SLOW = TimeoutPolicy(run_timeout=120, idle_timeout=60)  # where a model may think


def assistant_graph(
    settings: AssistantSettings,
    *,
    planner: Planner | None = None,
    sources: Sources | None = None,
    now: Callable[[], datetime] = utc_now,
) -> StateGraph[OpsState, OpsContext, OpsState, OpsState]:
    """Not compiled, so that whoever serves it chooses where its state is kept."""
    nodes = _Nodes(settings, planner or RulePlanner(), sources or Sources(settings), now)
    graph: StateGraph[OpsState, OpsContext, OpsState, OpsState] = StateGraph(OpsState, context_schema=OpsContext)
    once_more = RetryPolicy(max_attempts=2)
    graph.add_node("plan", nodes.plan, destinations=("tools", "propose", "answer", END), timeout=_SLOW)
    graph.add_node("tools", nodes.tools, destinations=("collect",), timeout=_QUICK, retry_policy=once_more)
    graph.add_node("collect", nodes.collect, destinations=("tools", "propose", "answer"), timeout=_SLOW)
    propose: Any = nodes.propose  # takes a runtime and a configuration, a pair that langgraph's types do not know
    graph.add_node("propose", propose, destinations=("approve", "answer"), timeout=_QUICK)
    graph.add_node("approve", nodes.approve, destinations=("apply", "answer"), timeout=_QUICK)
    graph.add_node("apply", nodes.apply, destinations=("answer",), timeout=_QUICK)
    graph.add_node("answer", nodes.answer, timeout=_SLOW)
    graph.add_edge(START, "plan")
    graph.add_edge("answer", END)
    return graph


class _Nodes:
    """The nodes, with what they look at."""

    def __init__(
        self, settings: AssistantSettings, planner: Planner, sources: Sources, now: Callable[[], datetime]
    ) -> None:
        self._settings, self._planner, self._sources, self._now = settings, planner, sources, now

    async def plan(self, state: OpsState, runtime: Runtime[OpsContext]) -> Command[Any]:
        """Understand the question, and choose tools."""
        context, now = _context(runtime), self._now()
        text = _asked(state)
        known = await self._known_workloads() if text.strip() else []
        understood = understand(text, known, now, namespace=context.namespace, workload=context.workload)
        begun: dict[str, Any] = {
            "intent": understood.intent.value,
            "question": _plain(asdict(understood)) | {"text": text, "known": known, "now": now.isoformat()},
            "calls": [],
            "evidence": [],
            "proposal": None,
            "decision": None,
            "outcome": "",
            "steps_left": _ROUNDS,
            "mode": self._planner.name,
            "fallback": "",
        }
        if understood.intent is Intent.HELP:
            return Command(update={**begun, "messages": [AIMessage(content=f"{HELP}\n\n{BY_RULES}")]}, goto=END)
        if understood.intent is Intent.SET_FIELD:
            return Command(update=begun, goto="answer" if understood.problem else "propose")
        chosen = await self._planner.plan(state["messages"], begun["question"], calls_for(understood, now))
        begun |= {"calls": chosen.calls, "fallback": chosen.fallback, "mode": chosen.mode}
        if understood.problem and not chosen.calls:
            return Command(update=begun, goto="answer")
        return Command(update=begun, goto="tools" if chosen.calls else "answer")

    async def tools(self, state: OpsState) -> Command[Literal["collect"]]:
        """Use them, side by side."""
        now = self._now()
        findings = await asyncio.gather(
            *(use(call["tool"], call["args"], self._sources, now) for call in state["calls"])
        )
        known = state["evidence"]
        evidence = [*known, *gathered(findings, first=len(known) + 1)]
        return Command(update={"evidence": evidence, "steps_left": state["steps_left"] - 1}, goto="collect")

    async def collect(self, state: OpsState) -> Command[Literal["tools", "propose", "answer"]]:
        """Whether what was found is enough."""
        if state["steps_left"] <= 0 or state["fallback"]:
            return Command(goto="answer")
        chosen = await self._planner.look_again(state["messages"], state["question"], state["evidence"])
        if chosen.fallback:
            return Command(update={"fallback": chosen.fallback, "mode": chosen.mode}, goto="answer")
        if not chosen.calls:
            return Command(goto="answer")
        return Command(update={"calls": chosen.calls}, goto="tools")

    async def propose(
        self, state: OpsState, runtime: Runtime[OpsContext], config: RunnableConfig
    ) -> Command[Literal["approve", "answer"]]:
        """Read what is to be changed; write nothing."""
        context, question = _context(runtime), state["question"]
        if not self._settings.allows_actions:
            return _outcome(
                "I may not change anything here: start the agent with AGENT_ALLOW_ACTIONS=1 to let me propose."
            )
        if not context.allow_actions:
            return _outcome('I propose changes only when you allow it: send context {"allow_actions": true}.')
        actor = str((config.get("configurable") or {}).get("langgraph_auth_user_id") or "anonymous")
        try:
            proposal = await changes.propose(
                self._sources,
                question["namespace"],
                question["name"],
                question["settable"],
                question["value"],
                actor=actor,
                now=self._now(),
            )
        except SourceError as error:
            return _outcome(f"Nothing was proposed: {error}")
        if proposal["before"] == proposal["value"]:
            return _outcome(f"Nothing to change: {proposal['field']} is {proposal['value']} already.")
        return Command(update={"proposal": proposal}, goto="approve")

    async def approve(self, state: OpsState) -> Command[Literal["apply", "answer"]]:
        """Ask a person.  Begins anew when the answer comes: nothing with an effect may stand before the question."""
        proposal = state["proposal"]
        if proposal is None:
            return _outcome("Nothing was proposed.")
        answer = interrupt(changes.request_for(proposal))
        try:
            verdict, proposal, words = changes.decided(answer, proposal)
        except changes.DecisionError as error:
            return _outcome(f"Nothing was changed: {error}.")
        told = {"type": verdict, "message": words}
        if verdict == "reject":
            reason = f" ({words})" if words else ""
            return Command(
                update={"decision": told, "outcome": f"Nothing was changed: you rejected it{reason}."}, goto="answer"
            )
        return Command(update={"decision": told, "proposal": proposal}, goto="apply")

    async def apply(self, state: OpsState, config: RunnableConfig) -> Command[Literal["answer"]]:
        """Carry out what was approved, once."""
        proposal, configurable = state["proposal"], config.get("configurable") or {}
        if proposal is None or (state["decision"] or {}).get("type") != "approve":
            return _outcome("Nothing was approved.")
        run_id = str(configurable.get("run_id", ""))
        key = f"{run_id}:{proposal['resource_version']}:{proposal['field']}"
        outcome = await changes.apply(self._sources, proposal, key=key, run_id=run_id, now=self._now())
        get_stream_writer()({"audit": changes.audit_of("told", proposal, run_id, outcome)})
        return _outcome(outcome)

    async def answer(self, state: OpsState) -> dict[str, Any]:
        """Say what was found; a model's words count only as far as evidence carries them."""
        if state["outcome"]:
            return {"messages": [AIMessage(content=f"{state['outcome']}\n\n{BY_RULES}")]}
        plain = by_template(state["intent"], state["question"], state["evidence"])
        said = await self._planner.word(
            state["messages"], state["question"], state["evidence"], plain, state["fallback"]
        )
        message = AIMessage(content=f"{said.text}\n\n{said.label}", response_metadata={"planner": said.mode})
        return {"messages": [message], "mode": said.mode}

    async def _known_workloads(self) -> list[str]:
        """As NAMESPACE/NAME; none when nobody answers, which the tools will say."""
        try:
            found = await self._sources.controller("/v1/resources")
            return [f"{each['namespace']}/{each['name']}" for each in found["resources"]]
        except (SourceError, KeyError, TypeError):
            pass
        try:
            found = await self._sources.forecasts("/v1/workloads")
            return [str(each["name"]).replace(".", "/", 1) for each in found["workloads"]]
        except (SourceError, KeyError, TypeError):
            return []


def _context(runtime: Runtime[Any]) -> OpsContext:
    """What the caller said of himself; he may have said nothing."""
    found: OpsContext | None = runtime.context
    return OpsContext() if found is None else found


def _outcome(words: str) -> Command[Any]:
    return Command(update={"outcome": words}, goto="answer")


def _asked(state: OpsState) -> str:
    for message in reversed(state["messages"]):
        if isinstance(message, HumanMessage):
            return str(message.text)
    return ""


def _plain(question: dict[str, Any]) -> dict[str, Any]:
    """As JSON: checkpoints know no types of ours."""
    return {key: value.isoformat() if isinstance(value, datetime) else _name(value) for key, value in question.items()}


def _name(value: Any) -> Any:
    return value.value if isinstance(value, Intent) else value
