"""Names that may stand in an object or a URL: decided here and nowhere else.  Pure."""

from __future__ import annotations

import re

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
NAMESPACE = rf"^({_LABEL})?$"  # a DNS-1123 label; empty where a workload has none
OBJECT = rf"^{_LABEL}(\.{_LABEL})*$"  # a DNS-1123 subdomain
WORKLOAD = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # what the forecast server takes; it has no namespaces
_LONGEST = 253


def object_problem(namespace: object, name: object) -> str:
    """Why no object can be called so; "" when one can."""
    if not _is(NAMESPACE, namespace) or not namespace:
        return f"{_shown(namespace)} is no namespace: it has lower-case letters, digits and hyphens, 63 at most"
    if not _is(OBJECT, name):
        return f"{_shown(name)} is no name of an object: it has lower-case letters, digits, hyphens and dots"
    return ""


def is_namespace(text: object) -> bool:
    """Or empty, for none."""
    return _is(NAMESPACE, text)


def is_workload(text: object) -> bool:
    """NAME or NAMESPACE/NAME."""
    if not isinstance(text, str):
        return False
    namespace, slash, name = text.rpartition("/")
    return _is(WORKLOAD, name) and _is(NAMESPACE, namespace) and bool(namespace or not slash)


def _is(pattern: str, text: object) -> bool:
    # fullmatch: "$" alone would let a line feed pass
    return isinstance(text, str) and len(text) <= _LONGEST and re.fullmatch(pattern, text) is not None


def _shown(text: object) -> str:
    return repr(text)[:80]
