"""A key kept out of what others say of it.  Pure."""

from __future__ import annotations

import re

_HIDDEN = "***"
_WORD = re.compile(r"[^\s\"'`=:,;()]+")
_GAP = re.compile(r"\.{3,}|…|\*{2,}")


def without_key(text: str, key: str) -> str:
    """Neither all of it nor, as endpoints like to write that refuse it, its ends: `sk-...wxyz`."""
    if not key:
        return text

    def hidden(word: re.Match[str]) -> str:
        first, *others = _GAP.split(word[0])
        last = others[-1].rstrip(".") if others else ""  # a sentence may end there
        shows_ends = bool(others and first + last) and key.startswith(first) and key.endswith(last)
        return _HIDDEN if shows_ends else word[0]

    return _WORD.sub(hidden, text.replace(key, _HIDDEN))
