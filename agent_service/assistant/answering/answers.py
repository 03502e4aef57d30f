"""Answers without a model: what each tool found, by its template, and what could not be found out.  Pure, and total."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent_service.assistant.answering.templates import TEMPLATES
from agent_service.assistant.answering.wording import number
from agent_service.assistant.printable import inline, printable
from agent_service.assistant.state import Evidence

BY_RULES = "Answered by rules, no language model."

HELP = """I explain the autoscaler. Ask me:
- why did you scale shop/agent at 10:03?
- what is the forecast for shop/agent?
- how good has the forecast of shop/agent been this week?
- what if the target per replica were 8 over the last 2 hours?
- is it healthy? Which workloads are there?
- set max replicas of shop/agent to 12 (I propose, you approve)
- promql: sum(agent_runs_in_flight)"""

_MOST_LINES = 20  # of a value that no template fits


def by_template(question: Mapping[str, Any], evidence: Sequence[Evidence], *, intent: str = "") -> str:
    """What the evidence says, in words; what could not be found out stands beside it.

    The tool that found it chooses the template, not the question: a model may look where the rules would not.
    """
    problem = _capital(printable(str(question["problem"]))) if question.get("problem") else ""
    if not evidence and problem:
        return problem
    if not evidence and intent in ("", "unknown"):
        return f"I did not understand that. {HELP}"
    told = [_told(intent, each) for each in evidence if "error" not in each]
    asks = "" if told else problem  # what a model looked for in spite of it, and did not find, is no answer to it
    lines = [line for line in (asks, *told, *_failures(evidence)) if line]
    return "\n".join(lines) or "Nothing was found."


def _told(intent: str, each: Evidence) -> str:
    write = TEMPLATES.get(each.get("tool", ""))
    if write is not None:
        try:
            return write(intent, each["value"], each)
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError):
            pass  # a source of another version; what it said is told as it is
    return "\n".join(_plainly(each))


def _plainly(each: Evidence) -> list[str]:
    ref = f"[{each['id']}]"
    leaves = list(_leaves("", each.get("value")))
    lines = [f"- {name or 'value'}: {value} {ref}" for name, value in leaves[:_MOST_LINES]]
    if len(leaves) > _MOST_LINES:
        lines.append("- and more")
    return [f"{inline(each.get('source', ''))} answered {ref}:", *lines]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(f"{name} {inline(key)}".strip(), each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(name, each)
    elif isinstance(value, bool) or value is None:
        yield name, {True: "yes", False: "no", None: "none"}[value]
    else:
        yield name, number(value) if isinstance(value, int | float) else inline(value)


def _failures(evidence: Sequence[Evidence]) -> list[str]:
    """One line for every reason, however many tools it kept from looking."""
    ids: dict[str, list[str]] = {}
    for each in evidence:
        if "error" in each:
            ids.setdefault(inline(each["error"]), []).append(each["id"])
    return [f"I could not find out: {reason} [{', '.join(names)}]" for reason, names in ids.items()]


def _capital(text: str) -> str:
    said = f"{text[:1].upper()}{text[1:]}"
    return said if said.endswith(("?", "!")) else f"{said}."
