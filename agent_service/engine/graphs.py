"""The graphs that are served, each compiled twice: for threads that stay, and for runs that leave nothing behind."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import TimeoutPolicy
from pydantic import PydanticUserError

from agent_service.errors import InvalidError, NotFoundError

log = logging.getLogger("forescale.agent")

_NAMESPACE = uuid.UUID("6d7f2d0e-4a39-5f0c-9a52-f1f2a1b3c4d5")  # arbitrary, and never to change


@dataclass(frozen=True, slots=True)
class Served:
    """One graph, which the protocol calls an assistant."""

    name: str
    description: str
    planner: str  # who thinks: deterministic, simulated, or a model's name; a label of metrics
    kept: CompiledStateGraph[Any, Any, Any, Any]  # its checkpoints are in the store
    scratch: CompiledStateGraph[Any, Any, Any, Any]  # its checkpoints are in memory, for one run
    since: datetime
    is_guarded: bool = False  # see GraphSource

    @property
    def assistant_id(self) -> str:
        """The same on every replica."""
        return str(uuid.uuid5(_NAMESPACE, self.name))

    @property
    def pauses(self) -> bool:
        """Whether it stops at some nodes by itself."""
        return bool(self.kept.interrupt_before_nodes or self.kept.interrupt_after_nodes)

    def as_json(self) -> dict[str, Any]:
        """An assistant of the protocol."""
        return {
            "assistant_id": self.assistant_id,
            "graph_id": self.name,
            "config": {},
            "context": {},
            "metadata": {"created_by": "system", "planner": self.planner},
            "name": self.name,
            "description": self.description or None,
            "version": 1,
            "created_at": self.since.isoformat(),
            "updated_at": self.since.isoformat(),
        }

    def schemas(self) -> dict[str, Any]:
        """JSON schemas of what goes in and comes out; null for one that pydantic cannot write."""
        graph = self.kept
        return {
            "graph_id": self.name,
            "input_schema": _schema(graph.get_input_jsonschema),
            "output_schema": _schema(graph.get_output_jsonschema),
            "state_schema": _schema(graph.get_output_jsonschema),
            "config_schema": {"type": "object", "properties": {}},  # settings of a run stand in its context
            "context_schema": _schema(graph.get_context_jsonschema),
        }


def _schema(write: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    try:
        return write()
    except PydanticUserError as error:  # such as a plain TypedDict on Python 3.11
        log.info("a graph's schema cannot be written: %s", error.message)
        return None


@dataclass(frozen=True, slots=True)
class GraphSource:
    """A graph before it is compiled."""

    name: str
    builder: StateGraph[Any, Any, Any, Any]
    description: str = ""
    planner: str = "deterministic"
    types: tuple[type, ...] = ()  # of its state, beside messages and plain data: what checkpoints may make again
    is_guarded: bool = False  # only its own nodes may write its state: callers neither update it nor go to a node


class Graphs:
    """All that are served, by name and by id."""

    def __init__(
        self,
        sources: tuple[GraphSource, ...],
        kept: BaseCheckpointSaver[Any],
        scratch: BaseCheckpointSaver[Any],
        *,
        since: datetime | None = None,
    ) -> None:
        """Compile them."""
        since = since or datetime.now(UTC)
        types = [each for source in sources for each in source.types]
        for saver in (kept, scratch):
            _allow(saver, types)
        self.all = tuple(
            Served(
                source.name,
                source.description,
                source.planner,
                source.builder.compile(checkpointer=kept, name=source.name),
                source.builder.compile(checkpointer=scratch, name=source.name),
                since,
                source.is_guarded,
            )
            for source in sources
        )
        self.names = frozenset(served.name for served in self.all)
        self._known: Mapping[str, Served] = {
            **{served.name: served for served in self.all},
            **{served.assistant_id: served for served in self.all},
        }

    def limit_nodes(self, seconds: float) -> None:
        """Give every node that has no deadline this one.

        On what was compiled, since builders are their owners'; and not as langgraph's deadline for a whole step, which
        would not say which node was late.
        """
        for served in self.all:
            for graph in (served.kept, served.scratch):
                for name, node in graph.nodes.items():
                    if node.timeout is None and name != START:
                        node.timeout = TimeoutPolicy(run_timeout=seconds)
                        try:
                            graph.validate()
                        except ValueError:  # it runs in a thread, which nobody can stop
                            node.timeout = None

    def get(self, assistant: str) -> Served:
        """By graph name or assistant id; raises NotFoundError."""
        found = self._known.get(assistant)
        if found is None:
            raise NotFoundError(f"there is no assistant {assistant!r}; there are: {self._names()}")
        return found

    def for_run(self, assistant: object) -> Served:
        """What a run asks for; raises InvalidError, as the reference server answers."""
        found = self._known.get(assistant) if isinstance(assistant, str) else None
        if found is None:
            raise InvalidError(f"assistant_id {assistant!r} is not served here; there are: {self._names()}")
        return found

    def _names(self) -> str:
        return ", ".join(served.name for served in self.all)


def _allow(saver: BaseCheckpointSaver[Any], types: list[type]) -> None:
    """In place: every graph shares the saver, and what one may read back, the thread of another may hold."""
    if types and isinstance(saver.serde, JsonPlusSerializer):
        saver.serde = saver.serde.with_msgpack_allowlist(types)
