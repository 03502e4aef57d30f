"""What a caller wants of a run: read and checked from the body, kept with the run, turned into a graph's arguments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from langgraph.types import Command, Send
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from agent_service.engine.translating import STREAM_MODES
from agent_service.store.records import Multitask

Durability = Literal["sync", "async", "exit"]
_LONGEST_DELAY = 7 * 86_400
_COMMANDS = ("resume", "update", "goto")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Order(BaseModel):
    """The union of what create, wait and stream send; what is not named here is ignored, as newer clients send more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    assistant_id: str
    input: Any = None
    command: dict[str, Any] | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    stream_mode: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=lambda: ["values"])
    stream_subgraphs: bool = False
    interrupt_before: Literal["*"] | list[str] | None = None
    interrupt_after: Literal["*"] | list[str] | None = None
    checkpoint: dict[str, Any] | None = None
    checkpoint_id: str | None = None
    multitask_strategy: Multitask = Multitask.ENQUEUE
    if_not_exists: Literal["create", "reject"] = "reject"
    on_disconnect: Literal["cancel", "continue"] = "continue"
    on_completion: Literal["delete", "keep"] = "delete"
    after_seconds: float = Field(default=0, ge=0, le=_LONGEST_DELAY)
    webhook: str | None = None
    durability: Durability = "exit"

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, given: Any) -> Any:
        """A null means that the caller leaves it to us; `checkpoint_during` is how durability was once called."""
        if not isinstance(given, dict):
            return given
        told = {key: value for key, value in given.items() if value is not None}
        during = told.pop("checkpoint_during", None)
        if during is not None:
            told.setdefault("durability", "async" if during else "exit")
        return told

    @model_validator(mode="after")
    def _is_possible(self) -> Order:
        unknown = sorted(set(self.stream_mode) - STREAM_MODES)
        if unknown:
            raise ValueError(
                f"stream_mode {', '.join(unknown)} is not served; there are {', '.join(sorted(STREAM_MODES))}"
            )
        if self.input is not None and self.command is not None:
            raise ValueError("give either input or command")
        if self.command is not None and all(self.command.get(name) is None for name in _COMMANDS):
            raise ValueError(f"the command is empty; give it one of {', '.join(_COMMANDS)} that is not null")
        return self

    def kept(self) -> dict[str, Any]:
        """What has to be known to execute the run, now or on another replica."""
        return self.model_dump(exclude={"metadata"}, exclude_defaults=True, mode="json") | {
            "stream_mode": self.stream_mode,
            "durability": self.durability,
        }


def input_of(order: Order) -> Any:
    """The input, or the command that resumes."""
    if order.command is None:
        return order.input
    command = order.command
    goto = command.get("goto") or ()
    return Command(
        resume=command.get("resume"),
        update=command.get("update"),
        goto=_goto(goto) if not isinstance(goto, list) else [_goto(each) for each in goto],
    )


def _goto(target: Any) -> Any:
    if isinstance(target, dict):
        return Send(str(target.get("node")), target.get("input"))
    return target


def graph_config(
    order: Order, *, run_id: str, thread_id: str, assistant_id: str, graph_id: str, tenant: str, most_steps: int
) -> dict[str, Any]:
    """The graph's configuration: the caller's, with what only the server may say written over it."""
    given = order.config
    configurable = {
        key: value
        for key, value in (given.get("configurable") or {}).items()
        if not key.startswith(("__", "langgraph_auth", "checkpoint_ns"))
    }
    place = order.checkpoint or {}
    checkpoint_id = order.checkpoint_id or place.get("checkpoint_id") or configurable.get("checkpoint_id")
    configurable.pop("checkpoint_id", None)
    if checkpoint_id is not None:
        configurable["checkpoint_id"] = checkpoint_id
        configurable["checkpoint_ns"] = place.get("checkpoint_ns") or ""
    configurable |= {
        "thread_id": thread_id,
        "run_id": run_id,
        "assistant_id": assistant_id,
        "graph_id": graph_id,
        "langgraph_auth_user_id": tenant,
    }
    steps = given.get("recursion_limit")
    # Checkpoints carry the metadata: by its run_id a later attempt, or a rollback, finds what this run wrote.
    return {
        "configurable": configurable,
        "recursion_limit": min(steps, most_steps) if isinstance(steps, int) and steps > 0 else min(25, most_steps),
        "tags": [str(tag) for tag in given.get("tags") or []][:20],
        "metadata": {**dict(order.metadata), "run_id": run_id, "thread_id": thread_id, "graph_id": graph_id},
    }
