"""Reads the fields of a manifest, and says where a wrong one stands.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from controller.hpa.quantity import parse_nano
from predictor.errors import InputError

Choice = TypeVar("Choice", bound=StrEnum)
INT32_MAX = 2**31 - 1


class Fields:
    """A mapping within a manifest, together with its path there.

    A field that is null counts as left out, and fields nobody asks for are ignored: the API server does both.
    """

    __slots__ = ("_raw", "where")

    def __init__(self, raw: object, where: str) -> None:
        if not isinstance(raw, Mapping):
            raise InputError(f"{where} is {raw!r}; give a mapping of fields")
        self._raw = raw
        self.where = where

    def path(self, name: str) -> str:
        """Where a field stands, such as spec.metrics[0].type."""
        return f"{self.where}.{name}"

    def has(self, name: str) -> bool:
        """Whether the field is given."""
        return self._raw.get(name) is not None

    def section(self, name: str) -> Fields | None:
        """A mapping within this one."""
        return Fields(self._raw[name], self.path(name)) if self.has(name) else None

    def required_section(self, name: str, example: str) -> Fields:
        """A mapping that must be there."""
        section = self.section(name)
        if section is None:
            raise InputError(f"{self.path(name)} is missing; give it, such as {example}")
        return section

    def sections(self, name: str) -> tuple[Fields, ...] | None:
        """A list of mappings."""
        raw = self._raw.get(name)
        if raw is None:
            return None
        if not isinstance(raw, Sequence) or isinstance(raw, str):
            raise InputError(f"{self.path(name)} is {raw!r}; give a list")
        return tuple(Fields(each, f"{self.path(name)}[{index}]") for index, each in enumerate(raw))

    def text(self, name: str) -> str:
        """A text; empty when left out."""
        raw = self._raw.get(name)
        if raw is not None and not isinstance(raw, str):
            raise InputError(f"{self.path(name)} is {raw!r}; give a text")
        return raw or ""

    def integer(self, name: str, *, least: int, most: int = INT32_MAX) -> int | None:
        """A whole number within bounds."""
        raw = self._raw.get(name)
        if raw is None:
            return None
        if not isinstance(raw, int) or isinstance(raw, bool) or not least <= raw <= most:
            raise InputError(f"{self.path(name)} is {raw!r}; give a whole number from {least} to {most}")
        return raw

    def required_integer(self, name: str, *, least: int, most: int = INT32_MAX) -> int:
        """A whole number that must be there."""
        value = self.integer(name, least=least, most=most)
        if value is None:
            raise InputError(f"{self.path(name)} is missing; give a whole number from {least} to {most}")
        return value

    def choice(self, name: str, choices: type[Choice]) -> Choice | None:
        """One of the names that the API knows."""
        raw = self._raw.get(name)
        if raw is None:
            return None
        if raw not in list(choices):
            raise InputError(f"{self.path(name)} is {raw!r}; give {' or '.join(choices)}")
        return choices(raw)

    def required_choice(self, name: str, choices: type[Choice]) -> Choice:
        """One of the names that the API knows, which must be there."""
        value = self.choice(name, choices)
        if value is None:
            raise InputError(f"{self.path(name)} is missing; give {' or '.join(choices)}")
        return value

    def nano(self, name: str) -> int | None:
        """A quantity in billionths."""
        return parse_nano(self._raw[name], self.path(name)) if self.has(name) else None
