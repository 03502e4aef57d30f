"""Numbers, shares, lengths of time and instants as people read them, and as the check reads them back.  Pure."""

from __future__ import annotations

import math
from typing import Any

_DIGITS = 6


def number(value: Any) -> str:
    """Without an exponent; whole numbers in full."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    text = f"{value:.{_DIGITS}g}"
    if "e" not in text:
        return text
    if abs(value) >= 1:
        return f"{value:.0f}"
    return f"{value:.12f}".rstrip("0").rstrip(".") or "0"


def percent(ratio: float | None) -> str:
    """Of a share; three digits."""
    return "not known" if ratio is None else f"{number(float(f'{100 * ratio:.3g}'))} %"


def length(seconds: float) -> str:
    """Of a span, in the unit that fits."""
    for name, unit, least in (("day", 86_400, 172_800), ("hour", 3600, 3600), ("minute", 60, 60)):
        if abs(seconds) >= least:
            count = _tenths(seconds / unit)
            return f"{count} {name}" if count == "1" else f"{count} {name}s"
    return f"{_tenths(seconds)} s"


def clock(text: str) -> str:
    """Of an instant of UTC in ISO 8601."""
    return text.replace("T", " ")[:19] + " UTC"


def _tenths(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
