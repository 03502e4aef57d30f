"""Frozen dataclasses to JSON and back, and the JSON schema they imply.  Pure.

Small on purpose: it knows the types that our reports are made of, and refuses any other.  A number that is
not finite becomes null, an instant an ISO 8601 string in UTC.  A class may name properties in `DERIVED`: they
are written for the reader's convenience and skipped when reading back.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar, cast

from predictor.errors import InputError

T = TypeVar("T")
Json = Any  # what `json.loads` gives

_PLAIN: dict[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def encode(value: object) -> Json:
    """Turn a dataclass, or what it is made of, into what `json.dumps(..., allow_nan=False)` takes."""
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)] + list(_derived(type(value)))
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form here; convert it to a plain number, text or tuple first")


def decode(kind: type[T], value: Json, where: str = "$") -> T:
    """Read back what `encode` wrote.  Raises InputError naming the place, a path into the document."""
    return cast(T, _decode(kind, value, where))


def _decode(kind: Any, value: Json, where: str) -> object:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (wanted,) = [argument for argument in arguments if argument is not type(None)]
        return _decode(wanted, value, where)
    if origin is tuple:
        items = _expect(list, value, where)
        return tuple(_decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is Mapping:
        pairs = _expect(dict, value, where)
        return {str(key): _decode(arguments[1], item, f"{where}.{key}") for key, item in pairs.items()}
    if is_dataclass(kind):
        return _decode_object(cast("type[Any]", kind), _expect(dict, value, where), where)
    if kind is datetime:
        return _decode_instant(_expect(str, value, where), where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError as error:
            known = ", ".join(str(member.value) for member in kind)
            raise InputError(f"{where}: {value!r} is none of {known}") from error
    if kind is float and type(value) is int:
        return float(value)
    return _expect(kind, value, where)


def _expect(kind: Any, value: Json, where: str) -> Any:
    """The value, when it is of that very type: JSON's true is no number here."""
    if type(value) is not kind:
        raise InputError(f"{where}: expected {kind.__name__}, found {type(value).__name__}")
    return value


def _decode_object(kind: type[Any], value: dict[str, Json], where: str) -> object:
    hints = typing.get_type_hints(kind)
    wanted = {field.name: field for field in fields(kind)}
    unknown = set(value) - set(wanted) - set(_derived(kind))
    if unknown:
        raise InputError(f"{where}: unknown {', '.join(sorted(unknown))}; written by a newer version?")
    absent = [name for name, field in wanted.items() if name not in value and not _has_default(field)]
    if absent:
        raise InputError(f"{where}: {', '.join(absent)} missing")
    return kind(**{name: _decode(hints[name], value[name], f"{where}.{name}") for name in wanted if name in value})


def _decode_instant(text: str, where: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{where}: {text!r} is not an ISO 8601 instant") from error
    if instant.tzinfo is None:
        raise InputError(f"{where}: {text!r} has no time zone; write it in UTC with a Z")
    return instant.astimezone(UTC)


def schema(kind: type[Any], title: str) -> dict[str, Json]:
    """The JSON schema (draft 2020-12) of what `encode` writes for a dataclass."""
    definitions: dict[str, Json] = {}
    reference = _schema_of(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **reference,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema_of(kind: Any, definitions: dict[str, Json]) -> dict[str, Json]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (wanted,) = [argument for argument in arguments if argument is not type(None)]
        return {"anyOf": [_schema_of(wanted, definitions), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema_of(arguments[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1], definitions)}
    if is_dataclass(kind):
        name = cast("type[Any]", kind).__name__
        if name not in definitions:
            definitions[name] = {}  # reserves the name before a class that refers to itself
            definitions[name] = _schema_of_object(cast("type[Any]", kind), definitions)
        return {"$ref": f"#/$defs/{name}"}
    if kind is datetime:
        return {"type": "string", "format": "date-time"}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    return {"type": _PLAIN[kind]}


def _schema_of_object(kind: type[Any], definitions: dict[str, Json]) -> dict[str, Json]:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    properties = {name: _schema_of(hints[name], definitions) for name in names}
    for name in _derived(kind):
        returned = typing.get_type_hints(getattr(kind, name).fget)["return"]
        properties[name] = _schema_of(returned, definitions)
    described: dict[str, Json] = {"type": "object"}
    if kind.__doc__:
        described["description"] = " ".join(kind.__doc__.split("\n\n")[0].split())
    return described | {
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _derived(kind: type[Any]) -> tuple[str, ...]:
    return tuple(getattr(kind, "DERIVED", ()))


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING
