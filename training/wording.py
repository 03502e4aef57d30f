"""Numbers as people read them, the same in the terminal, on the page and in a sentence.  Pure."""

from __future__ import annotations

from datetime import datetime

ABSENT = "–"  # a score that does not exist


def percent(ratio: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """A share as a percentage: 0.0834 is "8.3 %"."""
    if ratio is None:
        return ABSENT
    text = f"{abs(ratio) * 100:.{digits}f}"
    is_zero = float(text) == 0
    sign = "" if is_zero else "−" if ratio < 0 else "+" if signed else ""
    return f"{sign}{text} %"


def points(ratio: float | None, *, signed: bool = False) -> str:
    """A difference of shares in percentage points: 0.0042 is "0.4 pp"."""
    return percent(ratio, signed=signed).replace("%", "pp")


def count(number: int | None) -> str:
    """A whole number with thousands set apart: 10080 is "10,080"."""
    return ABSENT if number is None else f"{number:,}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, never in scientific notation: 1234.6 is "1,235"."""
    if value is None:
        return ABSENT
    if value == 0:
        return "0"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    decimals = max(0, digits - whole)
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−")


def duration(seconds: float | None) -> str:
    """A length of time in its largest fitting unit: 900 is "15 min"."""
    if seconds is None:
        return ABSENT
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def instant(at: datetime) -> str:
    """An instant in UTC to the minute; the caller says once that it is UTC."""
    return at.strftime("%Y-%m-%d %H:%M")


def level_name(level: float) -> str:
    """A quantile level's short name: 0.998 is "q99.8"."""
    return f"q{level * 100:g}"
