"""What a tool found, in words: one template for each tool.  Every number points to its evidence.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent_service.assistant.answering.wording import clock, length, number, percent
from agent_service.assistant.printable import inline
from agent_service.assistant.question.grammar import Intent
from agent_service.assistant.state import Evidence

_OLD_SECONDS = 120  # from which on the age of a decision is told
_KEPT_SECONDS = 120  # by which a replay may be shorter than was asked for before it is told
_SHORT_SECONDS = 1200
_TOLD_SERIES = 20
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

Template = Callable[[str, Any, Evidence], str]


def _decision(intent: str, value: Any, each: Evidence) -> str:
    ref = f"[{each['id']}]"
    held = "no floor of its own" if value["floor"] is None else f"a floor of {number(value['floor'])}"
    does = "" if value["acts"] else " (only watching: nothing was written)"
    who, reason = inline(value["resource"]), inline(value["reason"])
    lines = [f"At {clock(value['at'])} {who} had {held}{does}; reason {reason} {ref}."]
    age = value.get("age_seconds") or 0
    if age > _OLD_SECONDS:
        if value.get("age_counts_from") == "the asked time":
            lines.append(f"That was {length(age)} before the time you asked for; no record between is kept {ref}.")
        else:
            lines.append(f"That record is {length(age)} old; no newer one is kept {ref}.")
    if value.get("demand") is not None:
        lines.append(f"Demand was {number(value['demand'])} {ref}.")
    if value.get("plannedDemand") is not None:
        lines.append(
            f"It planned for {number(value['plannedDemand'])}, the {value['level']:.1%} quantile of the highest demand "
            f"within {number(value['leadSeconds'])} s, at {number(value['targetPerReplica'])} per replica {ref}."
        )
    elif not value.get("hasOpinion"):
        lines.append(f"There was no forecast to follow {ref}.")
    if value.get("hpaAloneReplicas") is not None:
        lines.append(f"The HPA alone would have held {number(value['hpaAloneReplicas'])} {ref}.")
    for step in value.get("steps") or []:
        before = "" if step["before"] is None else f"{number(step['before'])} → "
        after = "no opinion" if step["after"] is None else number(step["after"])
        words = _WORDS.get(step["rule"], inline(step["rule"]))
        lines.append(f"- {words}: {before}{after} ({inline(step['reason'])}) {ref}")
    return "\n".join(lines)


def _decisions(intent: str, value: Any, each: Evidence) -> str:
    """How the floor moved; nothing of a short while in which it did not."""
    ref, is_short = f"[{each['id']}]", value["asked_seconds"] <= _SHORT_SECONDS
    if not value["moves"]:
        return "" if is_short else f"No decision is kept from that time {ref}."
    moves = []
    for one in value["moves"]:
        floor = "none" if one["floor"] is None else number(one["floor"])
        moves.append(f"{clock(one['at'])} {floor} ({inline(one['reason'])})")
    if len(moves) == 1:
        return "" if is_short else f"The floor did not move in that time: {moves[0]} {ref}."
    lines = [f"The floor {'around then' if is_short else 'in that time'}: {', then '.join(moves)} {ref}."]
    if value["earlier_moves"]:
        lines.append(f"Before those it moved {value['earlier_moves']} more times {ref}.")
    if value["is_cut"]:
        lines.append(f"There are more decisions in that time than can be looked at: ask for a shorter one {ref}.")
    return "\n".join(lines)


def _forecast(intent: str, value: Any, each: Evidence) -> str:
    ref = f"[{each['id']}]"
    if value["status"] != "ok" or "horizon_seconds" not in value:
        return f"There is no forecast: {inline(value['reason'] or 'no reason was given')} {ref}."
    rows = {row["level"]: row for row in value["levels"]}
    middle, upper = rows.get(0.5), rows[value["upper_level"]]
    reach, level = value["horizon_seconds"], percent(value["upper_level"])
    lines = []
    asked = value.get("asked_horizon_seconds")
    if asked is not None and asked > reach:
        lines.append(f"You asked for {length(asked)} ahead; the forecast reaches {length(reach)} {ref}.")
    when = f"Within {length(reach)}, until {clock(value['until'])}, demand is expected"
    highest = number(upper["highest_demand_until_then"])
    if middle is None or middle is upper:
        lines.append(f"{when} to reach not more than {highest}, with {level} certainty {ref}.")
    else:
        lines.append(
            f"{when} to reach {number(middle['highest_demand_until_then'])} at its highest; with {level} certainty "
            f"not more than {highest} {ref}."
        )
        then = number(middle["demand_then"])
        lines.append(f"At the end of that time {then} is as likely to be exceeded as not {ref}.")
    if value.get("target_per_replica"):
        lines.append(f"A replica is planned to carry {number(value['target_per_replica'])} {ref}.")
    if value.get("is_stale"):
        lines.append(f"The last sample is stale {ref}.")
    if value.get("trust"):
        lines.append(f"Trust: {inline(value['trust'])} {ref}.")
    return "\n".join(lines)


def _accuracy(intent: str, value: Any, each: Evidence) -> str:
    ref = f"[{each['id']}]"
    if not value.get("pairs"):
        return (
            f"Nothing of that time is scored yet: {value['origins']} forecasts of it have an outcome {ref}. "
            "Ask for a longer time."
        )
    span = f"Over the last {length(value['window_seconds'])}"
    if value.get("start") and value.get("end"):
        span = f"From {clock(value['start'])} to {clock(value['end'])}"
    lines = [
        (
            f"{span}, {length(value['horizon_seconds'])} ahead: "
            f"WAPE {percent(value['wape'])}, persistence {percent(value['persistence_wape'])}, skill "
            f"{percent(value['skill'])}, from {value['pairs']} pairs {ref}."
        ),
    ]
    lines += [
        f"Demand stayed below the {percent(row['level'])} quantile {percent(row['coverage'])} of the time "
        f"({row['covered']} of {row['pairs']}) {ref}."
        for row in value["coverage"]
        if row["level"] in (0.95, 0.99) and row["pairs"]
    ]
    alarms = value.get("alarms")
    if alarms:
        surges = f"surges: {alarms['caught']} of {alarms['surges']} foreseen {ref}."
        resolved = alarms["resolved"]
        raised = f"{alarms['false_alarms']} of {resolved} false" if resolved else "none was resolved"
        lines.append(f"Alarms: {raised}; {surges}")
    lines.append(f"Trust: {inline(value['trust'])} {ref}.")
    return "\n".join(lines)


def _alarms(intent: str, value: Any, each: Evidence) -> str:
    ref = f"[{each['id']}]"
    told = (
        f"In the last {length(value['window_seconds'])}: {value['alarms']} alarms, {value['hit']} hits, "
        f"{value['false']} false, {value['pending']} pending; {value['surges_caught']} of {value['surges']} surges "
        f"were foreseen {ref}."
    )
    last = [f"- {clock(alarm['raised_at'])}: {inline(alarm['outcome'])} {ref}" for alarm in value["last_alarms"]]
    if len(last) < value["alarms"]:
        told += " The latest of them:"
    return "\n".join([told, *last])


def _what_if(intent: str, value: Any, each: Evidence) -> str:
    ref = f"[{each['id']}]"
    was, would = value["baseline"], value["changed"]
    changes = ", ".join(f"{inline(name)} = {number(given)}" for name, given in value["overrides"].items())
    lines = []
    if value["asked_seconds"] - value["replayed_seconds"] > _KEPT_SECONDS:
        lines.append(
            f"You asked for {length(value['asked_seconds'])}; what decisions saw is kept for "
            f"{length(value['replayed_seconds'])} of that, and those were replayed {ref}."
        )
    lines += [
        (
            f"With {changes}, replaying {value['points']} decisions from {clock(value['start'])} to "
            f"{clock(value['end'])} {ref}:"
        ),
        f"- replica-minutes: {number(was['replica_minutes'])} → {number(would['replica_minutes'])} {ref}",
        f"- minutes with too few replicas: {number(was['short_minutes'])} → {number(would['short_minutes'])} {ref}",
        f"- highest floor: {was['highest_floor']} → {would['highest_floor']} {ref}",
        f"- changes of the floor: {was['floor_changes']} → {would['floor_changes']} {ref}",
        (
            f"The replay with the settings as they were gives the recorded floor in {value['reproduced']} of "
            f"{value['points']} decisions {ref}."
        ),
    ]
    lines += [f"Note: {inline(note)} {ref}" for note in value.get("notes") or []]
    return "\n".join(lines)


def _workloads(intent: str, value: Any, each: Evidence) -> str:
    ref = f"[{each['id']}]"
    if intent == Intent.HEALTH:
        return _health(value, ref)
    lines = [f"{value['count']} workloads are forecast {ref}:"]
    for row in value["workloads"]["rows"]:
        demand = "not known" if row["demand"] is None else number(row["demand"])
        expected = row.get("expected")
        ahead = "no forecast" if expected is None else f"expected to reach {number(expected['peak_median'])}"
        lines.append(f"- {inline(row['name'])}: demand {demand}, {ahead} {ref}")
    return "\n".join([*lines, *_more(value["workloads"], ref)])


def _health(value: Any, ref: str) -> str:
    lines = [f"{value['with_fresh_forecast']} of {value['count']} workloads have a fresh forecast {ref}."]
    for row in value["without_fresh_forecast"]["rows"]:
        stale = "its last sample is stale" if row.get("is_stale") else "no reason was given"
        lines.append(f"- {inline(row['name'])}: {inline(row.get('why_unavailable') or stale)} {ref}")
    return "\n".join([*lines, *_more(value["without_fresh_forecast"], ref)])


def _resources(intent: str, value: Any, each: Evidence) -> str:
    ref = f"[{each['id']}]"
    lines = [f"The controller knows {value['count']} autoscalers {ref}:"]
    for row in value["resources"]["rows"]:
        floor = "no floor" if row["floor"] is None else f"floor {number(row['floor'])}"
        mode, reason = "acting" if row["acts"] else "watching", inline(row["reason"] or "no decision yet")
        lines.append(f"- {inline(row['namespace'])}/{inline(row['name'])}: {mode}, {floor}, {reason} {ref}")
    return "\n".join([*lines, *_more(value["resources"], ref)])


def _promql(intent: str, value: Any, each: Evidence) -> str:
    ref = f"[{each['id']}]"
    if value["kind"] == "scalar":
        return f"{_sample(value['value'][1])} {ref}"
    if not value["series"]:
        return f"No series answers {inline(each['query'])} {ref}."
    lines = []
    for series in value["series"][:_TOLD_SERIES]:
        names = ", ".join(
            f"{inline(name)}={inline(text)}" for name, text in series["metric"].items() if name != "__name__"
        )
        if "histogram" in series:
            found = series["histogram"]
            last = f"histogram of {_sample(found['count'])} values, sum {_sample(found['sum'])}"
        else:
            last = _sample(series["value"][1] if "value" in series else series["values"][-1][1])
        lines.append(f"- {names or 'all'}: {last} {ref}")
    if value["count"] > _TOLD_SERIES:
        lines.append(f"- and more: there are {value['count']} series in all {ref}")
    return "\n".join(lines)


def _sample(text: Any) -> str:
    """Prometheus writes numbers as text, large ones with an exponent."""
    try:
        return number(int(text) if str(text).lstrip("-").isdigit() else float(text))
    except (TypeError, ValueError):
        return inline(text)


def _more(rows: Mapping[str, Any], ref: str) -> list[str]:
    return [f"- and {rows['more']} more {ref}"] if rows["more"] else []


TEMPLATES: dict[str, Template] = {
    "decision": _decision,
    "decisions": _decisions,
    "forecast": _forecast,
    "accuracy": _accuracy,
    "alarms": _alarms,
    "what_if": _what_if,
    "workloads": _workloads,
    "resources": _resources,
    "promql": _promql,
}
