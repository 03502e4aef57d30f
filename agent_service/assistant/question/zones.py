"""Time zones as people write them.  Pure, but for the zone files that Python reads.

An abbreviation means one offset, the whole year: CET is +01:00 in July, too, and EST and PST are those of North
America. What means different offsets to different people (CST, IST, BST) is refused rather than guessed.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from agent_service.assistant.question.amounts import TimeError

_HOURS = {
    "z": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 1, "cet": 1, "cest": 2, "mez": 1, "mesz": 2, "eet": 2, "eest": 3,
    "msk": 3, "sgt": 8, "hkt": 8, "jst": 9, "kst": 9, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13,
    "est": -5, "edt": -4, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
ABBREVIATIONS = frozenset(_HOURS)
_OFFSET = re.compile(r"(?:utc|gmt)?\s*([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)


@cache
def _known() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones() if "/" in name}


def is_place(text: str) -> bool:
    """Whether this is a zone such as Europe/Paris, in whatever case."""
    return text.lower() in _known()


def place(text: str) -> tzinfo:
    """Of Europe/Paris; raises TimeError."""
    name = _known().get(text.lower())
    if name is None:
        raise unknown(text)
    return ZoneInfo(name)


def abbreviated(text: str) -> tzinfo:
    """Of CET; raises TimeError."""
    hours = _HOURS.get(text.lower())
    if hours is None:
        raise unknown(text)
    return timezone(timedelta(hours=hours)) if hours else UTC


def offset(text: str) -> tzinfo:
    """Of +02:00, +0200, +2 or UTC+2; raises TimeError."""
    found = _OFFSET.fullmatch(text.strip())
    if found is None:
        raise unknown(text)
    hours, minutes = int(found[2]), int(found[3] or 0)
    if hours > 14 or minutes > 59:
        raise unknown(text)
    length = timedelta(hours=hours, minutes=minutes)
    return timezone(-length if found[1] == "-" else length)


def unknown(text: str) -> TimeError:
    """To be raised."""
    return TimeError(f"{text} is no time zone that is known here; write one such as Europe/Paris, or +02:00, or UTC")
