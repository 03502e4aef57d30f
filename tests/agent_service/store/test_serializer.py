"""What comes back from bytes, and what never does."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.types import Interrupt, Send
from pydantic import BaseModel

from agent_service.store.serializer import a_serializer

MADE: list[str] = []


@dataclass
class Point:
    """Of somebody's state."""

    x: int

    def __post_init__(self) -> None:
        MADE.append("point")


class Model(BaseModel):
    """Of somebody's state."""

    y: int

    def model_post_init(self, _: Any) -> None:
        MADE.append("model")


class Hostile:
    """Would do something when it is read."""

    def __reduce__(self) -> Any:
        return (MADE.append, ("hostile",))


def test_bytes_that_want_to_become_something_else_stay_what_they_are(caplog: pytest.LogCaptureFixture) -> None:
    serializer = a_serializer()
    message = HumanMessage("hi", id="m")
    assert serializer.loads_typed(serializer.dumps_typed({"messages": [message]})) == {"messages": [message]}
    # As whoever may write into the database would have it: os.getcwd, to be called with no arguments.
    hostile = ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(["os", "getcwd", ["x"]])))

    found = serializer.loads_typed(("msgpack", hostile))

    assert not callable(found)
    assert found is None or "getcwd" not in str(type(found))
    with pytest.raises(Exception, match=r"[Uu]nknown|not supported|pickle"):
        serializer.loads_typed(("pickle", b"cos\ngetcwd\n(tR."))


def test_what_langgraph_itself_keeps_comes_back_as_it_was() -> None:
    serializer = a_serializer()
    state = {"messages": [HumanMessage("hi", id="m"), AIMessage("ho", id="n")], "more": {1, 2}}

    for value in (state, Send("node", {"a": 1}), [Interrupt("what?", id="i")]):
        assert serializer.loads_typed(serializer.dumps_typed(value)) == value


@pytest.mark.parametrize("value", [Point(1), Model(y=1)])
def test_types_that_are_named_come_back_as_themselves_and_others_as_plain_data(value: Any) -> None:
    data = a_serializer().dumps_typed([value])
    MADE.clear()

    plain = a_serializer(str).loads_typed(data)
    assert MADE == []
    assert plain in ([{"x": 1}], [{"y": 1}])

    assert a_serializer(type(value)).loads_typed(data) == [value]
    assert len(MADE) == 1


def test_nothing_is_pickled_in_either_direction() -> None:
    serializer = a_serializer(Hostile)
    MADE.clear()

    with pytest.raises(TypeError):
        serializer.dumps_typed(Hostile())
    with pytest.raises(NotImplementedError):
        serializer.loads_typed(("pickle", pickle.dumps(Hostile())))

    assert MADE == []
