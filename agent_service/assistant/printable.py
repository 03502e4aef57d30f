"""Text of others as it may reach a terminal: without what a terminal would obey.  Pure."""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands: titles, links, the clipboard
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # colours, the cursor, clearing
    r"|\x1b[ -/]*[0-~]?"
)
# Controls but line feed and tab; marks that turn the direction of what follows.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Line feeds and tabs stay."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))


def inline(text: object) -> str:
    """On one line, and one sentence: what a source says cannot begin a line of its own in an answer."""
    words = " ".join(printable(re.sub(r"[\r\n\t\u2028\u2029]+", " ", str(text))).split())
    return re.sub(r"[.!?]\s+(?=[A-Z])", "; ", words).rstrip(".")
