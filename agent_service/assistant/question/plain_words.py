"""Words that name no workload: where every word of a question is one of them, the workload of before is meant.  Pure.

A name that is misspelt, or of a workload that there is none of, is a word like any other to the rules.  A question with
such a word is not taken to be about whatever was spoken of before.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from agent_service.assistant.question.amounts import TimeError
from agent_service.assistant.question.intents import is_misspelt
from agent_service.assistant.question.time_words import OTHER, words_of

# "The service" is the one that is meant; services, and any service, are others, too.
_THIS_ONE = re.compile(
    r"\b(?:the|this|that|the same)\s+(?:same\s+)?(?:workload|service|deployment|app|application|autoscaler|resource)\b"
    r"(?!\s+(?:that|which|with|called|named)\b)",
    re.IGNORECASE,
)
# One of several, so that it is not the one of before.
_ANOTHER = re.compile(
    r"\b(?:first|second|third|last|next|previous|former|latter)\s+(?:one|workload|service)s?\b", re.IGNORECASE
)
_ENGLISH = """
a about above actually after again ago ahead almost already also always am an and any anything are aren around as at
away back be because been before behind being below better between but by can cause caused certain certainly come comes
coming correct correctly could couldn d did didn difference different differently do does doesn doing don done down
during enough even ever exactly far few for from further gave get gets give given go goes going gone good got had hadn
happen happened happening happens hard has hasn have haven having hence here high higher highest how however hwy i if in
instead into is isn it its just keep keeps kept kind know known late lately later least less let like likely little ll
long longer look looking looks lot low lower lowest m made make makes many may maybe me mean means might more most
mostly much must my near need needed needs never no nor not nothing now of off often oh ok okay on once one ones only or
our out over own past per please possible present pretty previous previously probably quickly quite rather re ready
really recent recently right s same saw say says see seem seems seen set shall should shouldn show shown since slow
slowly small so some something soon sort still stop stopped such suddenly sure t take taken takes tell than thank thanks
that the their them then there they thing things think this though through till to together told too took toward towards
true try under until up upon us use used uses using usual usually value values ve very wait want wants was wasn way we
well went were weren what whatever when whenever where whether which while who whole why will with within without won
work worked working works would wouldn wrong wyh x yes yet you your
"""
_SCALING = """
accuracy accurate accurately act acting action actions activate active alarm alarms alert alerts autoscaler
autoscaling average bad badly big bigger bound bounds capacity chance change changed changes changing confidence
confident constraint constraints cooldown count coverage cpu current currently curve decide decided decision decisions
decrease decreased delay demand deploy deployed desired drop dropped drops effect error errors estimate estimated
event events evidence expect expectation expectations expected explain explanation fall fallen false fast faster fell
fewer fine floor floors forecast forecasted forecasting forecasts forescale fresh freshness future grow growing grown
health healthy held history hold holding horizon hpa huge incoming increase increased interval keda lag lead level
levels load mae mape margin max maximum maxreplicas median metric metrics min minimum minreplicas miss missed misses
missing mode model move moved moves moving number numbers observe observed outlook pattern pause paused peak peaked
peaks percent percentage percentile perform performed performing pod pods predict predicted predicting prediction
predictions predictor predicts problem problems provisioned qps quantile quantiles quiet raise raised rate ratio react
reacted reason reasons reduce reduced release released reliable reliably replay replica replicas req request requests
restart restarted resume rise rises rising risk rmse rollout rose rps rule rules run running sample samples scale
scaled scales scaling score scores setting settings share signal simulate simulated situation size skill smaller smape
spike spiked spikes stabilization stabilized stale state states status steady step steps stuck suppose supposed surge
surges target targetperreplica targets threshold thresholds traffic trend trends trust trusted trustworthy unhealthy
unpause upper usage wape window worse worst zero
"""
_TIME = """
afternoon day days evening h hour hours hr hrs k midday midnight min mins minute minutes moment month months
morning night noon sec second seconds secs time times today tomorrow tonight week weeks yesterday
"""
_PLAIN = frozenset(f"{_ENGLISH} {_SCALING} {_TIME}".split())
_NEAR = 0.75  # of a name that is perhaps misspelt
_AMOUNT = re.compile(r"p?\d+(?:k|x|s|m|h|d|st|nd|rd|th|ms|min|rps|qps)?")  # p95, 60rps


def strange_in(text: str, known: Sequence[str]) -> str:
    """The first word that may be a name; "" without one.  known: workloads."""
    other = _ANOTHER.search(text)
    if other is not None:
        return other.group()
    try:
        words = words_of(_THIS_ONE.sub(" it ", text))
    except TimeError:  # which is told of instead
        return ""
    names = [form for each in known for form in (each, each.rpartition("/")[2])]
    for word in (word.text for word in words if word.kind == OTHER):
        if not all(_is_plain(part, names) for part in re.findall(r"\w+", word.lower())):
            return word[:40]
    return ""


def is_plain(word: str) -> bool:
    """Whether it is a word of questions, also where a workload is called so."""
    return word.lower() in _PLAIN


def _is_plain(word: str, names: Sequence[str]) -> bool:
    if word in _PLAIN or _AMOUNT.fullmatch(word):
        return True
    return is_misspelt(word) and not difflib.get_close_matches(word, names, 1, _NEAR)
