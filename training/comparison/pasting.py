"""YAML in lines that fit, so that a narrow terminal breaks nothing that is to be pasted.  Pure."""

from __future__ import annotations

import re
import textwrap

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

_COMMENTED = re.compile(r"^(?P<code>\s*\S.*?)\s{2,}(?P<comment># .*)$")
_QUOTED = re.compile(r'^(?P<before>\s*(?:- )?\w+: ")(?P<text>(?:[^"\\]|\\.)*)"$')
_MAPPING = re.compile(r"^(?P<indent>\s*).*\{.*\}$")
_LEAST_ROOM = 20  # characters; a narrower terminal breaks lines anywhere


class Pasteable:
    """A YAML document that means the same at every width."""

    def __init__(self, yaml: str) -> None:
        self.yaml = yaml

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(fold_yaml(self.yaml, options.max_width), overflow="fold")


def fold_yaml(yaml: str, width: int) -> str:
    """Break the lines that are too wide where YAML allows it: before a comment, within quotes, in a flow mapping."""
    return "\n".join(piece for line in yaml.splitlines() for piece in _fold(line, width)) + "\n"


def _fold(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    if line.lstrip().startswith("#"):
        return textwrap.wrap(line.lstrip(" #"), width, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    commented = _COMMENTED.match(line)
    if commented is not None and '"' not in commented["comment"]:
        return [*_fold(indent + commented["comment"], width), *_fold(commented["code"], width)]
    quoted = _QUOTED.match(line)
    if quoted is not None:
        return _fold_quoted(quoted["before"], quoted["text"], indent + "  ", width)
    if _MAPPING.match(line):
        return _fold_mapping(line, indent + "  ", width)
    return [line]


def _fold_quoted(before: str, text: str, indent: str, width: int) -> list[str]:
    r"""A line that ends with a backslash goes on after the next line's indent; a leading space is written `\ `."""
    units = re.findall(r"\\u[0-9a-fA-F]{4}|\\.|.", text)
    lines, line = [], before
    for unit in units:
        if len(line) + len(unit) + 1 > max(width, len(indent) + _LEAST_ROOM):
            lines.append(line + "\\")
            line = indent + ("\\ " if unit == " " else unit)
        else:
            line += unit
    return [*lines, line + '"']


def _fold_mapping(line: str, indent: str, width: int) -> list[str]:
    """After commas that are not within quotes."""
    pieces = re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+,?', line)
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece) > width:
            lines.append(indent + piece.lstrip())
        else:
            lines[-1] += piece
    return lines
