"""How graph state becomes bytes: only types known to be harmless come back as themselves, nothing is pickled."""

from __future__ import annotations

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer


def a_serializer(*types: type) -> JsonPlusSerializer:
    """types: of a graph's state, beside messages and what langgraph itself keeps, that may be made again."""
    allowed = [(each.__module__, each.__qualname__) for each in types]
    return JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=allowed or None)
