"""Which workload a question is about.  Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from agent_service.assistant.question.fields import WORKLOAD
from agent_service.assistant.question.plain_words import is_plain
from agent_service.assistant.question.zones import is_place

_WRITTEN = re.compile(r"(?<![\w/.:-])([a-z0-9][a-z0-9-]*)/([a-z0-9][a-z0-9.-]*)(?![\w/])", re.IGNORECASE)
_AFTER_CLOCK = re.compile(r"\d\s*(?:[ap]\.?m\.?)?\s*$", re.IGNORECASE)
# What stands on either side of a slash in words that name no workload: 60 req/s, min/max, and/or.
_UNITS = frozenset(
    ("s", "sec", "second", "min", "minute", "h", "hour", "d", "day", "replica", "replicas", "pod", "pods", "max")
)
_NAMESPACE = re.compile(r"\b(?:in|of|from)\s+(?:the\s+)?namespace\s+([a-z0-9][a-z0-9-]*)(?![\w/])", re.IGNORECASE)
_IDIOMS = frozenset(
    ("and/or", "on/off", "up/down", "yes/no", "true/false", "active/observe", "observe/active", "n/a", "w/o", "i/o")
)


class Whence(StrEnum):
    """Who said which workload is meant; what stands first here has the last word."""

    QUESTION = "question"  # or said something of it that cannot be used
    CONTEXT = "context"  # of the run
    BEFORE = "before"  # the question before
    ONLY = "only"  # nobody: there is but one
    NOBODY = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """A workload, and the text with WORKLOAD in the place of its name."""

    text: str
    namespace: str = ""
    name: str = ""
    problem: str = ""  # why it is not clear which one is meant
    whence: Whence = Whence.NOBODY
    forgotten: str = ""  # the workload of the question before, when it would be meant and is not known any more


def subject_of(
    text: str, known: Sequence[str], namespace: str, default: str | None, before: str | None = None
) -> Subject:
    """known: as NAMESPACE/NAME.  default: what is meant when nothing is named.  before: what was meant last."""
    everything = known
    said = _NAMESPACE.search(text)
    if said is not None:  # "agent in namespace shop"
        namespace, known_there = said[1].lower(), [each for each in known if each.partition("/")[0] == said[1].lower()]
        if known and not known_there:
            problem = f"there is no workload in namespace {namespace}; there are: {_some(known)}"
            return Subject(text, problem=problem, whence=Whence.QUESTION)
        text, known = f"{text[: said.start()]} {text[said.end() :]}", known_there
    mentioned = _mentioned(text, known, namespace)
    if mentioned:
        cut = text
        for written in sorted({form for forms in mentioned.values() for form in forms}, key=len, reverse=True):
            cut = _says(written).sub(f" {WORKLOAD} ", cut)
        if len(mentioned) > 1:
            problem = f"which one: {', '.join(sorted(mentioned))}? Ask again, and name it as it stands here"
            return Subject(cut, problem=problem, whence=Whence.QUESTION)
        (who,), (forms,) = mentioned, mentioned.values()
        rival = before if default is None else _meant(default, known, namespace)
        if rival in known and rival != who and all("/" not in form and is_plain(form) for form in forms):
            # Not the memory's end: perhaps nothing was named.
            problem = f'"{min(forms)}" may be a word, or {who}: write {who}, or {rival}'
            return Subject(text, problem=problem)
        return _called(who, cut, Whence.QUESTION)
    for written_name in _WRITTEN.finditer(text):
        if not _is_name(written_name, text):
            continue
        cut = f"{text[: written_name.start()]} {WORKLOAD} {text[written_name.end() :]}"
        asked = written_name.group().lower().rstrip(".-")
        if known:
            near = difflib.get_close_matches(asked, known, 1, 0.6)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {_some(known)}"
            return Subject(cut, problem=f"there is no workload {asked}{hint}", whence=Whence.QUESTION)
        return _called(asked, cut, Whence.QUESTION)
    if default is not None:
        return _called(_meant(default, known, namespace), text, Whence.CONTEXT)
    gone = ""
    if before is not None and (said is None or before.partition("/")[0] == namespace):
        if before in known or not everything:  # without a list there is no telling that it is gone
            return _called(before, text, Whence.BEFORE)
        gone = before
    if len(known) == 1:
        return replace(_called(known[0], text, Whence.ONLY), forgotten=gone)
    whence = Whence.NOBODY if said is None else Whence.QUESTION
    return Subject(text, problem=_which(text, known), whence=whence, forgotten=gone)


def _called(who: str, text: str, whence: Whence) -> Subject:
    space, _, name = who.rpartition("/")
    return Subject(text, space, name, whence=whence)


def _which(text: str, known: Sequence[str]) -> str:
    if not known:
        return "name the workload as NAMESPACE/NAME; the list of workloads is not to be had just now"
    last = text.rstrip("?.!, ").rpartition(" ")[2].lower()
    forms = {form: each for each in known for form in (each, each.rpartition("/")[2])}
    near = difflib.get_close_matches(last, forms, 1, 0.7)
    hint = f"did you mean {forms[near[0]]}? " if near else ""
    return f"{hint}which workload: {_some(known)}? Ask again, and name it as it stands here"


def _meant(default: str, known: Sequence[str], namespace: str) -> str:
    """The workload that a caller's context names, with a namespace or without one."""
    if "/" in default or default in known:
        return default
    there = [each for each in known if each.rpartition("/")[2] == default]
    return there[0] if len(there) == 1 else f"{namespace}/{default}" if namespace else default


def _some(known: Sequence[str]) -> str:
    return ", ".join(known[:5])


def _mentioned(text: str, known: Sequence[str], namespace: str) -> dict[str, set[str]]:
    """Workloads, each with the ways in which the text writes it."""
    full = {each: {each} for each in known if _says(each).search(text)}
    dotted = {each: {dots} for each in known if _says(dots := each.replace("/", ".")).search(text)}
    found = full or dotted
    short = {each: {name} for each in known if _says(name := each.rpartition("/")[2]).search(text)}
    if found:  # "agent, shop/agent" names one, "shop/agent and front" two, and "the load of shop/agent" no load
        names = {each.rpartition("/")[2] for each in found}
        listed = {
            each: forms
            for each, forms in short.items()
            if each in found or (names.isdisjoint(forms) and any(_is_listed(form, text) for form in forms))
        }
        return {each: found.get(each, set()) | listed.get(each, set()) for each in {**found, **listed}}
    return {each: forms for each, forms in short.items() if each.partition("/")[0] == namespace} or short


def _is_listed(name: str, text: str) -> bool:
    """Whether it stands beside another one, as in "shop/agent and front"."""
    joins = r"(?:\b(?:and|or|vs|versus|than|with)\b|[,&])"
    beside = rf"{joins}\s*(?:(?:of|for|the)\s+)*{re.escape(name)}(?![\w/-])|(?<![\w/.-]){re.escape(name)}\s*{joins}"
    return not is_plain(name) and re.search(beside, text, re.IGNORECASE) is not None


@lru_cache(maxsize=8192)  # three for each workload; making them takes tens of times as long as using them
def _says(name: str) -> re.Pattern[str]:
    """Finds a name, and not merely as a part of a longer one."""
    return re.compile(rf"(?<![\w/.-]){re.escape(name)}(?![\w/-])", re.IGNORECASE)


def _is_name(found: re.Match[str], text: str) -> bool:
    """Not a fraction, a date, a unit, or a time zone."""
    first, second = found[1].lower(), found[2].lower().rstrip(".")
    if first.isdigit() or second.isdigit() or second in _UNITS or f"{first}/{second}" in _IDIOMS:
        return False
    is_zone = is_place(found.group()) or (_AFTER_CLOCK.search(text[: found.start()]) and found.group()[0].isupper())
    return not is_zone
