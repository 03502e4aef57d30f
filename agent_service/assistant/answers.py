"""Answers by template, one for each kind of question; every number points to its evidence.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent_service.assistant.grammar import Intent
from agent_service.assistant.state import Evidence

BY_RULES = "Answered by rules, no language model."

HELP = """I explain the autoscaler. Ask me:
- why did you scale shop/agent at 10:03?
- what is the forecast for shop/agent? How good has it been this week?
- what if the target per replica were 8 over the last 2 hours?
- is it healthy? Which workloads are there?
- set max replicas of shop/agent to 12 (I propose, you approve)
- promql: sum(agent_runs_in_flight)"""

_WORDS = {
    "plan_capacity": "the forecast asks for",
    "hold_without_forecast": "held without an opinion of the forecast",
    "limit_scale_up": "limited, since a forecast may not ask for arbitrarily more than present demand needs",
    "stabilize_scale_down": "kept at the highest recommendation of its window",
    "hold_through_collapse": "held, since demand fell at once, as in an outage",
    "ignore_small_changes": "kept, since a slightly lower floor is not worth a change",
    "limit_release": "lowered only by a share of itself per minute",
    "follow_announcements": "raised by an announced event",
    "keep_reactive_answer": "raised to what present demand needs",
    "let_the_hpa_govern": "raised to what the HPA alone would hold",
    "stay_within_bounds": "kept within the bounds",
}


def by_template(intent: str, question: Mapping[str, Any], evidence: Sequence[Evidence]) -> str:
    """What the evidence says, in words; what could not be found out stands beside it."""
    if question.get("problem"):
        return _capital(str(question["problem"]))
    write = _TEMPLATES.get(intent)
    if write is None:
        return f"I did not understand that. {HELP}"
    found = [each for each in evidence if "error" not in each]
    told = [write(question, each) for each in found]
    lines = [line for line in (*told, *_failures(evidence)) if line]
    return "\n".join(lines) or "Nothing was found."


def _failures(evidence: Sequence[Evidence]) -> list[str]:
    """One line for every reason, however many tools it kept from looking."""
    ids: dict[str, list[str]] = {}
    for each in evidence:
        if "error" in each:
            ids.setdefault(each["error"], []).append(each["id"])
    return [f"I could not find out: {reason} [{', '.join(names)}]" for reason, names in ids.items()]


def _why(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    if "decisions" in value:
        return _course(value["decisions"], ref)
    held = "no floor of its own" if value["floor"] is None else f"a floor of {value['floor']}"
    does = "" if value["acts"] else " (only watching: nothing was written)"
    lines = [f"At {_clock(value['at'])} {value['resource']} had {held}{does}; reason {value['reason']} {ref}."]
    if value.get("demand") is not None:
        lines.append(f"Demand was {value['demand']:g} {ref}.")
    if value.get("plannedDemand") is not None:
        lines.append(
            f"It planned for {value['plannedDemand']:g}, the {value['level']:.1%} quantile of the highest demand "
            f"within {value['leadSeconds']:g} s, at {value['targetPerReplica']:g} per replica {ref}."
        )
    elif not value.get("hasOpinion"):
        lines.append("There was no forecast to follow.")
    if value.get("hpaAloneReplicas") is not None:
        lines.append(f"The HPA alone would have held {value['hpaAloneReplicas']} {ref}.")
    for step in value.get("steps") or []:
        before = "" if step["before"] is None else f"{step['before']} → "
        after = "no opinion" if step["after"] is None else step["after"]
        words = _WORDS.get(step["rule"], step["rule"])
        lines.append(f"- {words}: {before}{after} ({step['reason']}) {ref}")
    return "\n".join(lines)


def _course(decisions: list[dict[str, Any]], ref: str) -> str:
    """How the floor moved."""
    moves: list[str] = []
    before: Any = object()
    for each in decisions:
        if each["floor"] != before:
            moves.append(
                f"{_clock(each['at'])} {'none' if each['floor'] is None else each['floor']} ({each['reason']})"
            )
            before = each["floor"]
    if len(moves) < 2:
        return ""
    return f"The floor around then: {', then '.join(moves[-8:])} {ref}."


def _forecast(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    if value["status"] != "ok":
        return f"There is no forecast: {value['reason'] or 'no reason was given'} {ref}."
    peak, then = value["highest_demand_until_then"], value["demand_then"]
    level = value["upper_level"]
    lines = [
        (
            f"Within {value['horizon_seconds'] / 60:g} minutes, until {_clock(value['until'])}, demand is expected to "
            f"reach {peak['0.5']:g} at its highest; with {_percent(level)} certainty not more than "
            f"{peak[format(level, 'g')]:g} {ref}."
        ),
        f"At the end of that time {then['0.5']:g} is as likely to be exceeded as not {ref}.",
    ]
    target = value.get("target_per_replica")
    if target:
        lines.append(f"A replica is planned to carry {target:g} {ref}.")
    if value.get("is_stale"):
        lines.append(f"The last sample is stale {ref}.")
    if value.get("trust"):
        lines.append(f"Trust: {value['trust']} {ref}.")
    return "\n".join(lines)


def _accuracy(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    if not value.get("pairs"):
        return f"Nothing is scored yet: {value['origins']} forecasts were made in that time {ref}."
    lines = [
        (
            f"Over the last {_length(value['window_seconds'])}, {value['horizon_seconds'] / 60:g} minutes ahead: "
            f"WAPE {_percent(value['wape'])}, persistence {_percent(value['persistence_wape'])}, skill "
            f"{_percent(value['skill'])}, from {value['pairs']} pairs {ref}."
        ),
    ]
    lines += [
        f"Demand stayed below the {_percent(row['level'])} quantile {_percent(row['coverage'])} of the time "
        f"({row['covered']} of {row['pairs']}) {ref}."
        for row in value["coverage"]
        if row["level"] in (0.95, 0.99) and row["pairs"]
    ]
    alarms = value.get("alarms")
    if alarms:
        resolved = alarms["hits"] + alarms["false_alarms"]
        lines.append(
            f"Alarms: {alarms['false_alarms']} of {resolved} false; surges: {alarms['caught']} of {alarms['surges']} "
            f"foreseen {ref}."
            if resolved
            else f"Alarms: none was resolved; surges: {alarms['caught']} of {alarms['surges']} foreseen {ref}."
        )
    lines.append(f"Trust: {value['trust']} {ref}.")
    return "\n".join(lines)


def _alarms(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    told = (
        f"In the last {_length(value['window_seconds'])}: {value['alarms']} alarms, {value['hit']} hits, "
        f"{value['false']} false, {value['pending']} pending; {value['surges_caught']} of {value['surges']} surges "
        f"were foreseen {ref}."
    )
    last = [f"- {_clock(alarm['raised_at'])}: {alarm['outcome']}" for alarm in value["last_alarms"]]
    return "\n".join([told, *last])


def _what_if(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    was, would = value["baseline"], value["changed"]
    changes = ", ".join(f"{name} = {number:g}" for name, number in question["overrides"].items())
    lines = [
        (
            f"With {changes}, replaying {value['points']} decisions from {_clock(value['start'])} to "
            f"{_clock(value['end'])} {ref}:"
        ),
        f"- replica-minutes: {was['replica_minutes']:g} → {would['replica_minutes']:g} {ref}",
        f"- minutes with too few replicas: {was['short_minutes']:g} → {would['short_minutes']:g} {ref}",
        f"- highest floor: {was['highest_floor']} → {would['highest_floor']} {ref}",
        f"- changes of the floor: {was['floor_changes']} → {would['floor_changes']} {ref}",
        (
            f"The replay with the settings as they were gives the recorded floor in {value['reproduced']} of "
            f"{value['points']} decisions {ref}."
        ),
    ]
    lines += [f"Note: {note} {ref}" for note in value.get("notes") or []]
    return "\n".join(lines)


def _health(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    if "resources" in value:
        return _resources(question, each)
    rows = value["workloads"]
    bad = [row for row in rows if row["status"] != "ok" or row.get("is_stale")]
    lines = [f"{value['count'] - len(bad)} of {value['count']} workloads have a fresh forecast {ref}."]
    for row in bad[:10]:
        why = row.get("why_unavailable") or (
            "its last sample is stale" if row.get("is_stale") else "no reason was given"
        )
        lines.append(f"- {row['name']}: {why} {ref}")
    return "\n".join(lines)


def _workloads(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    if "resources" in value:
        return _resources(question, each)
    lines = [f"{value['count']} workloads are forecast {ref}:"]
    for row in value["workloads"][:20]:
        demand = "not known" if row["demand"] is None else f"{row['demand']:g}"
        expected = row.get("expected")
        ahead = "no forecast" if expected is None else f"expected to reach {expected['peak_median']:.4g}"
        lines.append(f"- {row['name']}: demand {demand}, {ahead} {ref}")
    return "\n".join(lines)


def _resources(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    lines = [f"The controller knows {value['count']} autoscalers {ref}:"]
    for row in value["resources"][:20]:
        floor = "no floor" if row["floor"] is None else f"floor {row['floor']}"
        mode, reason = "acting" if row["acts"] else "watching", row["reason"] or "no decision yet"
        lines.append(f"- {row['namespace']}/{row['name']}: {mode}, {floor}, {reason} {ref}")
    return "\n".join(lines)


def _metric(question: Mapping[str, Any], each: Evidence) -> str:
    value, ref = each["value"], f"[{each['id']}]"
    if value["kind"] == "scalar":
        return f"{value['value'][1]} {ref}"
    if not value["series"]:
        return f"No series answers {each['query']} {ref}."
    lines = []
    for series in value["series"][:20]:
        labels = ", ".join(f"{name}={text}" for name, text in series["metric"].items() if name != "__name__")
        last = series["value"][1] if "value" in series else series["values"][-1][1]
        lines.append(f"- {labels or 'all'}: {last} {ref}")
    return "\n".join(lines)


_TEMPLATES: dict[str, Callable[[Mapping[str, Any], Evidence], str]] = {
    Intent.WHY: _why,
    Intent.STATE: _why,
    Intent.FORECAST: _forecast,
    Intent.ACCURACY: _accuracy,
    Intent.ALARMS: _alarms,
    Intent.WHAT_IF: _what_if,
    Intent.HEALTH: _health,
    Intent.WORKLOADS: _workloads,
    Intent.METRIC: _metric,
}


def _clock(text: str) -> str:
    """Of an ISO instant: as people read it."""
    return text.replace("T", " ")[:19] + " UTC"


def _percent(ratio: float | None) -> str:
    return "not known" if ratio is None else f"{100 * ratio:.3g} %"


def _length(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours" if hours >= 1 else f"{seconds / 60:g} minutes"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
