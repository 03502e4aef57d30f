"""Which kind of question a text asks.  Pure."""

from __future__ import annotations

import difflib
import re
from enum import StrEnum

from agent_service.assistant.question.fields import SETTABLE, WORKLOAD


class Intent(StrEnum):
    """The kinds of questions."""

    WHY = "why"
    STATE = "state"
    FORECAST = "forecast"
    ACCURACY = "accuracy"
    ALARMS = "alarms"
    WHAT_IF = "what_if"
    HEALTH = "health"
    WORKLOADS = "workloads"
    METRIC = "metric"
    SET_FIELD = "set_field"
    HELP = "help"
    ONLY_NAMED = "only_named"  # a workload, and nothing that is asked of it
    UNKNOWN = "unknown"


_GREETING = re.compile(
    r"^[\s,.!:;-]*(?:(?:hi|hello|hey|thanks|thank you|thx|cheers|ok|okay|good (?:morning|afternoon|evening)|please|and|"
    r"so|well|great|there|all|everyone|team|bot|a lot|very much|so much|again)(?![\w/-])[\s,.!:;-]*|"
    r"(?:help me (?:to )?(?:understand|see)|(?:can|could|would|will) you (?:please |kindly )?(?:tell|explain to|show) "
    r"me|tell me|do you know|i(?: would|['’]d) like to (?:know|see)|i want to (?:know|see)|i wonder)\b[\s,:]*)",
    re.IGNORECASE,
)
_HELP = re.compile(
    r"^help(?: me)?\W*$|^(?:what can you do|who are you|what are you|how do you work)\b|"
    r"^(?:how (?:can|do|could|would) (?:i|we|you)|can i|can we|may i) (?:set|change|raise|lower|increase|decrease|"
    r"pause|unpause|resume|activate|switch|ask|use)\b",
    re.IGNORECASE,
)
_FIELD = "|".join(each.pattern for each in SETTABLE)
_POLITE = (
    r"^(?:(?:please|kindly|just|now|then|also|go ahead and|(?:can|could|would|will) you(?: please| kindly| just)?|"
    r"let['’]?s|let us|i want(?: you)? to|i(?: would|['’]d) like(?: you)? to|we (?:want|need) to|i need(?: you)? to|"
    r"you should|do not|don['’]?t|never|try to|propose to)[\s,]+)*"
)
_VERB = (
    r"(?:set|change|raise|lower|increase|decrease|reduce|update|bump|adjust|modify|patch|edit|pause|unpause|resume|"
    r"activate|de-?activate|double|triple|halve|enable|disable|revert|undo|reset|add|delete|remove|kubectl)\b"
    r"(?!\s*(?:history|log)\b)|"
    rf"(?:switch|turn|stop|start|restart)\s+(?:on|off|to|it|the|autoscal\w+|scaling|{WORKLOAD})|"
    rf"scale\s+(?:up|down|out|in|it|the|{WORKLOAD}|to)|"
    rf"(?:put|make|keep|limit|cap|move)\b(?=.*\b(?:{_FIELD}|observe|active|replicas?)\b)"
)
_WISH = rf"^(?:i|we)(?: want| need| would like|['’]d like)\b(?=.*\b(?:{_FIELD})\b.*\d)|^propose\b"
# In this order: the first whose pattern is found.
_INTENTS: tuple[tuple[Intent, tuple[str, ...]], ...] = (
    (
        Intent.WHAT_IF,
        (
            r"\bwhat\s+(?:if|would)\b|\bwhat-if\b|\breplay\b|\bsuppose\b|\bhow would\b|\bsimulate?\b|^if\b",
            r"\b(?:what|how)\b.*\b(?:will|happens?|happened)\b.*\bif\b",
            rf"^should (?:i|we)\b(?=.*\b(?:{_FIELD})\b)",
            rf"{_POLITE}try\b(?=.*\b(?:{_FIELD})\b)",
        ),
    ),
    (Intent.SET_FIELD, (rf"{_POLITE}(?:{_VERB})", _WISH)),
    (Intent.WHAT_IF, (rf"\bif\b(?=.*\b(?:{_FIELD})\b.*\d)",)),
    (
        Intent.HEALTH,
        (
            r"^(?:why )?(?:is|are|was|were)\b(?!.*\b(?:alarms?|surges?|scaled?|scaling)\b).*\b(?:stale|fresh)\b",
            r"^(?:why )?(?:is|are|was|were)\b.*\bunhealthy\b|\bwhat(?: is|['’]s) (?:wrong|broken)\b",
        ),
    ),
    (
        Intent.ACCURACY,
        (
            r"\bhow\s+(?:good|accurate|right|wrong|reliable|well|bad)\b|\baccura|\b[sw]?mape\b|\bwape\b|\bmae\b",
            r"\brmse\b|\bskill\b|\bcoverage\b|\bscores?\b|\berrors?\b|\btrust|\bhow (?:far )?off\b",
            r"\bhow (?:sure|certain|confident)\b",
            r"^(?:is|are|was|were) (?:it|they|you)\b.*\b(?:right(?! (?:now|to)\b)|wrong|correct|accurate)\b",
            r"\bhow often\b.*\b(?:wrong|right)\b|\b(?:forecast|predict)\w*\b.*\b(?:wrong|right|off|bad|good)\b",
        ),
    ),
    (Intent.ALARMS, (r"\balarms?\b|\bsurges?\b|\bfalse\b|\bmissed\b",)),
    (
        Intent.WHY,
        (
            r"\bwhy\b|\bwyh\b|\bhwy\b|\bexplain\b|\breasons?\b|\bwhat happened\b|\bhow come\b",
            r"\bscaled?\b.*\bat\b|\bwhat(?: has)? changed\b|\bwhat did you do\b|\bwho (?:scaled|changed)\b",
            r"\bwhen did\b.*\b(?:scale|change|move)|\blast (?:scaled|scaling|change|scale)\b|\bdid\b.*\bscale\b",
            r"\bscal(?:e|ing)\s+(?:history|events?|changes|decisions?|actions?)\b|\bhistory\b|\bdecisions\b",
            r"\bhow (?:often|many times)\b.*\b(?:scaled?|change)",
        ),
    ),
    (Intent.FORECAST, (r"\bforecast|\bpredict|\bexpect|\bnext\b|\bcoming\b|\bwill\b|\bsoon\b",)),
    (
        Intent.HEALTH,
        (
            r"\bhealth|\bstale\b|\bfresh|\bworking\b|\bbroken\b|\bok(?:ay)?\b|\bup\?",
            r"\bproblem|\bready\b|\bfine\b",
        ),
    ),
    (
        Intent.WORKLOADS,
        (r"\b(?:list|which|what|show)\b.*\b(?:workloads?|resources?|autoscalers?|targets)\b|\bworkloads\b",),
    ),
    (
        Intent.STATE,
        (
            r"\bfloor\b|\breplicas?\b|\bstate\b|\bstatus\b|\bcurrent\b|\bnow\b|\bdoing\b|\bdecision|\bgoing on\b",
            rf"\bdemand\b|\b(?:what|which|show|is)\b.*\b(?:{_FIELD})\b",
        ),
    ),
)
_COMPILED = tuple((intent, re.compile("|".join(patterns), re.IGNORECASE)) for intent, patterns in _INTENTS)
_LEAST_MENDED = 5  # letters
_MISSPELT = (
    "forecast", "forecasts", "predict", "prediction", "accuracy", "accurate", "explain", "status", "healthy", "alarms",
    "replicas", "workloads", "history", "reason", "scaling", "changed", "happened", "decisions", "simulate", "quantile",
)  # fmt: skip
# History is of a span of decisions, not of one of them.
_HISTORY = re.compile(
    r"\bhistory\b|\bdecisions\b|\bevents?\b|\bhow (?:often|many times)\b|\bwhen did\b|"
    r"\blast (?:scaled?|scaling|change)\b|"
    r"\bwhat(?: has)? changed\b|\bdid\b.*\blast scale\b",
    re.IGNORECASE,
)


def without_greeting(text: str) -> str:
    """What is asked after "hey," and "could you tell me"; "" when nothing is."""
    while True:
        rest = _GREETING.sub("", text, count=1)
        if rest == text:
            return text.strip(" ,.!?:;-") and text
        text = rest


def intent_of(text: str) -> Intent:
    """text: without greeting, WORKLOAD in the place of the workload's name."""
    if not text.strip(" ,.!?:;-"):
        return Intent.UNKNOWN
    if _HELP.search(text):
        return Intent.HELP
    found = _first(text)
    if found is not Intent.UNKNOWN:
        return found
    mended = re.sub(rf"[a-z]{{{_LEAST_MENDED},}}", lambda word: _mended(word.group()), text.lower())
    found = _first(mended)
    return Intent.UNKNOWN if found is Intent.SET_FIELD else found  # nothing is changed by a word that was guessed


def asks_for_history(text: str) -> bool:
    """Whether a question of WHY is about how the floor moved over a span."""
    return _HISTORY.search(text) is not None


def is_misspelt(word: str) -> bool:
    """Whether a word is taken for one of a question that it only resembles."""
    return len(word) >= _LEAST_MENDED and _mended(word) != word


def _first(text: str) -> Intent:
    return next((intent for intent, pattern in _COMPILED if pattern.search(text)), Intent.UNKNOWN)


def _mended(word: str) -> str:
    near = difflib.get_close_matches(word, _MISSPELT, 1, 0.8)
    return near[0] if near else word
