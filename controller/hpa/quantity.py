"""Kubernetes quantities such as 75m, 1500m, 2Gi or 1k.  Pure and exact: whole nano-units, never floats."""

from __future__ import annotations

import re
from fractions import Fraction

from predictor.errors import InputError

_NANO = 10**9
_LARGEST = 2**63 - 1  # the controller counts milli-units in an int64
_PATTERN = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[KMGTPE]i|[numkMGTPE]|))"
)
_FACTORS = {
    **{suffix: Fraction(10) ** exponent for suffix, exponent in zip("num", (-9, -6, -3), strict=True)},
    **{suffix: Fraction(1000**power) for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{suffix: Fraction(1024**power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
}


def parse_nano(raw: object, where: str) -> int:
    """A quantity in billionths, the finest that Kubernetes keeps; what is finer still is rounded away from zero.

    A manifest may hold plain numbers as well as strings: 5 and "5" are the same.
    """
    text = str(raw) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else ""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise InputError(f"{where} is {raw!r}, which is no quantity; give a number such as 75m, 1500m, 2Gi or 1k")
    exponent = found["exponent"]
    factor = _FACTORS[found["suffix"]] if exponent is None else Fraction(10) ** int(exponent)
    exact = Fraction(found["number"]) * factor * _NANO
    nano = -(-exact.numerator // exact.denominator) if exact >= 0 else exact.numerator // exact.denominator
    if abs(nano) // 10**6 > _LARGEST:
        raise InputError(f"{where} is {raw!r}, more than the controller can count; give a number below 9Pi")
    return nano


def to_milli(nano: int) -> int:
    """Whole milli-units, rounded up as the controller does: 1u counts as 1m."""
    return -(-nano // 10**6)


def to_float(nano: int) -> float:
    """The float64 that the controller makes of a quantity.

    It multiplies the digits of the canonical form (0.3 is stored as 300m) by a power of ten, so the last bit may differ
    from that of the decimal literal.
    """
    digits, exponent = nano, -9
    while digits and digits % 1000 == 0 and exponent < 18:
        digits //= 1000
        exponent += 3
    return float(digits) * float(f"1e{exponent}")
