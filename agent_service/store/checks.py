"""What may enter a store, so that every kind of store takes and finds the same.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from agent_service.errors import InvalidError
from agent_service.store.records import Json, Run, Thread, ThreadQuery

LARGEST = 2**53 - 1  # of a limit, an offset, a number of an event: exact in JSON, and a sum of two fits 64 bits
# An escaped NUL, and not a backslash that happens to stand before "u0000".
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def within(number: int) -> int:
    """A limit or offset as databases know them."""
    return max(0, min(number, LARGEST))


def check_text(**told: str | None) -> None:
    """Raises InvalidError for a NUL character, which PostgreSQL cannot keep in text."""
    for name, text in told.items():
        if text is not None and "\0" in text:
            raise InvalidError(f"{name} holds a NUL character (U+0000); leave it out")


def check_json(**told: Json | bytes | None) -> None:
    """Raises InvalidError for a NUL character in any text, and for what is no JSON."""
    for name, value in told.items():
        if value is None:
            continue
        try:
            data = value if isinstance(value, bytes) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
        except TypeError as error:
            raise InvalidError(f"{name} cannot be told as JSON: {error}") from error
        if b"\\u0000" in data and _NUL.search(data):
            raise InvalidError(f"{name} holds a NUL character (U+0000); leave it out")


def check_thread(thread: Thread) -> None:
    """Raises InvalidError."""
    check_text(thread_id=thread.thread_id, tenant=thread.tenant)
    check_json(metadata=thread.metadata, config=thread.config, values=thread.values, interrupts=thread.interrupts)


def check_run(run: Run, new_thread: Thread | None) -> None:
    """Raises InvalidError."""
    check_text(
        thread_id=run.thread_id, assistant_id=run.assistant_id, idempotency_key=run.idempotency_key,
        traceparent=run.traceparent,
    )  # fmt: skip
    check_json(request=run.request, metadata=run.metadata)
    if new_thread is not None:
        check_thread(new_thread)


def checked_query(query: ThreadQuery) -> ThreadQuery:
    """With a page that is within bounds.  Raises InvalidError."""
    check_json(metadata=query.metadata, values=query.values)
    for thread_id in query.ids or ():
        check_text(ids=thread_id)
    return replace(query, limit=within(query.limit), offset=within(query.offset))


def contains(whole: Any, part: Mapping[str, Any]) -> bool:
    """Whether an object has these values under these keys."""
    return isinstance(whole, Mapping) and all(key in whole and is_same(whole[key], part[key]) for key in part)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 and 1.0 are, 1 and true are not, as Python would have it."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)
