"""The nodes that lead to a change: propose, approve, apply.

Each looks for itself at what this run may do, and takes nothing from the state unchecked: a client may begin a run at
any of them, with any state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agent_service.assistant.answering.evidence import gathered
from agent_service.assistant.caller import CallerError, actor_of, read_caller, refusal, run_of
from agent_service.assistant.changing import changes
from agent_service.assistant.changing.audit import Audit, audit_of
from agent_service.assistant.changing.proposals import (
    DecisionError,
    ProposalError,
    checked,
    decided,
    expiry_of,
    may_ask_again,
    mistakes_in,
    request_for,
)
from agent_service.assistant.looking.sources import SourceError, Sources, resource_path
from agent_service.assistant.looking.tools import Finding
from agent_service.assistant.question.workloads import Whence
from agent_service.assistant.settings import AssistantSettings
from agent_service.assistant.state import OpsContext, OpsState, Proposal

_DECIDED = ("approve", "edit")


class ApprovalNodes:
    """With what they look at."""

    def __init__(self, settings: AssistantSettings, sources: Sources, now: Callable[[], datetime]) -> None:
        self._settings, self._sources, self._now, self._audit = settings, sources, now, Audit()

    async def propose(
        self, state: OpsState, runtime: Runtime[OpsContext], config: RunnableConfig
    ) -> Command[Literal["approve", "answer"]]:
        """Read what is to be changed; write nothing."""
        refused, now, question = self._refusal(runtime, config), self._now(), state.get("question") or {}
        if refused:
            return outcome(f"{refused}")
        try:
            proposal = await changes.propose(
                self._sources,
                question.get("namespace") or read_caller(runtime.context).namespace,
                question.get("name", ""),
                question.get("settable", ""),
                question.get("value"),
                now=now,
            )
            proposal = checked({**proposal, "is_recalled": question.get("whence") == Whence.BEFORE})
        except (SourceError, ProposalError) as error:
            return outcome(f"Nothing was proposed: {error}")
        seen = {"field": proposal["field"], "value": proposal["before"], "generation": proposal["generation"]}
        evidence = gathered([_finding("GET", proposal, seen, now)])
        if proposal["before"] == proposal["value"]:
            return outcome(f"Nothing to change: {proposal['field']} is {proposal['value']} already [E1]", evidence)
        return Command(update={"proposal": proposal, "evidence": evidence}, goto="approve")

    async def approve(
        self, state: OpsState, runtime: Runtime[OpsContext], config: RunnableConfig
    ) -> Command[Literal["apply", "approve", "answer"]]:
        """Ask a person.  Begins anew when the answer comes: nothing with an effect may stand before the question.

        It asks once.  After an answer that is no decision the graph comes back here in a step of its own, so that
        each question has its checkpoint: a rollback of the answer brings its question back, and no earlier answer is
        judged, or audited, again.
        """
        try:
            proposal = checked(state.get("proposal"))
        except ProposalError as error:
            return outcome(f"Nothing was proposed that could be approved: {error}")
        mistakes = mistakes_in(state.get("mistakes"))
        answer = interrupt(request_for(proposal, mistakes))
        who = {"actor": actor_of(config), "run_id": run_of(config)}
        try:
            decision = decided(answer, proposal)
        except DecisionError as error:
            return self._after_mistake(proposal, [*mistakes, str(error)], who, self._refusal(runtime, config))
        told = {"type": decision.kind, "message": decision.message}
        if decision.kind == "reject":
            self._audit(audit_of("rejected", proposal, **who, decision="reject", detail=decision.message))
            reason = f" ({decision.message})" if decision.message else ""
            said = f"Nothing was changed: you rejected it{reason}."
            return Command(update={"decision": told, "outcome": said}, goto="answer")
        refused = self._refusal(runtime, config)
        if refused:
            self._audit(audit_of("forbidden", decision.proposal, **who, decision=decision.kind, detail=refused))
            return outcome(f"Nothing was changed: {refused}")
        return Command(update={"decision": told, "proposal": decision.proposal}, goto="apply")

    async def apply(
        self, state: OpsState, runtime: Runtime[OpsContext], config: RunnableConfig
    ) -> Command[Literal["answer"]]:
        """Carry out what was approved, once."""
        kind, run_id, now = (state.get("decision") or {}).get("type"), run_of(config), self._now()
        if kind not in _DECIDED:
            return outcome("Nothing was approved")
        try:
            proposal = checked(state.get("proposal"))
        except ProposalError as error:
            return outcome(f"Nothing was changed: {error}")
        who = {"actor": actor_of(config), "run_id": run_id, "decision": kind}
        refused = self._refusal(runtime, config)
        if refused:
            self._audit(audit_of("forbidden", proposal, **who, detail=refused))
            return outcome(f"Nothing was changed: {refused}")
        try:
            result = await changes.apply(self._sources, proposal, key=changes.key_of(run_id, proposal), now=now)
        except asyncio.CancelledError:  # it may be on its way, and nobody performs a cancelled run again
            self._audit(audit_of("unknown", proposal, **who, detail="the run was stopped while the change was made"))
            raise
        told = audit_of(result.outcome, proposal, **who, detail=result.detail)
        self._audit(told)
        get_stream_writer()({"audit": told})
        if result.outcome != "applied":
            return outcome(result.words)
        known = state.get("evidence") or []
        evidence = gathered([_finding("PATCH", proposal, result.seen, now)], first=len(known) + 1)
        return outcome(f"{result.words} [{evidence[0]['id']}]", [*known, *evidence])

    def _after_mistake(
        self, proposal: Proposal, mistakes: list[str], who: dict[str, str], refused: str
    ) -> Command[Literal["apply", "approve", "answer"]]:
        """Ask again, where another answer could count: not one of a run that may not decide, nor one that is late."""
        if refused:
            self._audit(audit_of("forbidden", proposal, **who, detail=refused))
            return outcome(f"Nothing was changed: {refused}")
        if self._now() > expiry_of(proposal):
            self._audit(audit_of("expired", proposal, **who, detail=mistakes[-1]))
            return outcome("Nothing was changed: the proposal has expired. Ask again.")
        self._audit(audit_of("invalid", proposal, **who, detail=mistakes[-1]))
        if not may_ask_again(mistakes):
            return outcome(f"Nothing was changed: {mistakes[-1]}")
        return Command(update={"mistakes": mistakes}, goto="approve")

    def _refusal(self, runtime: Runtime[OpsContext], config: RunnableConfig) -> str:
        """Why this run may not change anything."""
        try:
            caller = read_caller(runtime.context)
        except CallerError as error:
            return str(error)
        return refusal(self._settings, caller, actor_of(dict(config)))


def outcome(words: str, evidence: list[Any] | None = None) -> Command[Any]:
    """An answer that needs no evidence but this."""
    update: dict[str, Any] = {"outcome": words if words.endswith((".", "?", "!")) else f"{words}."}
    if evidence is not None:
        update["evidence"] = evidence
    return Command(update=update, goto="answer")


def _finding(method: str, proposal: Proposal, seen: dict[str, Any], now: datetime) -> Finding:
    query = f"{method} {resource_path(proposal['namespace'], proposal['name'])}"
    return Finding("resource", "kubernetes", query, now, seen)
