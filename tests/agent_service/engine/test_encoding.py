"""Whatever a graph holds or raises can be told."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy
import orjson
import pytest
from typing_extensions import TypedDict

from agent_service.engine.encoding import encode
from agent_service.store.opening import Stores
from agent_service.store.records import RunStatus
from tests.agent_service.builders import in_store
from tests.agent_service.engine.replicas import an_engine, begin, end_of, in_memory, live, one_node
from tests.coroutines import run_apart


def test_what_is_told_takes_no_more_memory_than_it_has_bytes() -> None:
    values = [{"number": number, "text": "x" * 300} for number in range(200)]
    encode(values[0])  # whatever is made once
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        told = [encode(value) for value in values]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after - before < 1.5 * sum(map(len, told))


class Sulky:
    """Does not even say its name."""

    def __str__(self) -> str:
        raise RuntimeError("leave me alone")

    __repr__ = __str__


class SulkyError(Exception):
    """An error of that kind."""

    def __str__(self) -> str:
        raise RuntimeError("leave me alone")


@dataclass
class Holder:
    """Of something else."""

    inside: Any


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": (1, 2.5, None, True)}, {"a": [1, 2.5, None, True]}),
        ({"half": "\ud800!"}, {"half": "?!"}),
        ({"\ud800": 1}, {"?": 1}),
        ({"nul": "a\0b", "text": "\\u0000"}, {"nul": "a\ufffdb", "text": "\\u0000"}),
        (
            {"large": 2**70, "small": -(2**70), "fine": 2**63},
            {"large": str(2**70), "small": str(-(2**70)), "fine": 2**63},
        ),
        ({(1, 2): "pair"}, {"(1, 2)": "pair"}),
        ({"holder": Holder("\ud800")}, {"holder": {"inside": "?"}}),
        ({"sulky": Sulky()}, {"sulky": "(Sulky that cannot be told)"}),
        ({Sulky(): 1}, {"(Sulky that cannot be told)": 1}),
        ({"error": SulkyError()}, {"error": "(SulkyError that cannot be told)"}),
        ({"bytes": b"\xff", "set": {1}, "nan": float("nan")}, {"bytes": "\ufffd", "set": [1], "nan": None}),
        ({"array": numpy.array([[1, 2], [3, 4]]), "one": numpy.float64(0.5)}, {"array": [[1, 2], [3, 4]], "one": 0.5}),
        (nested(20), nested(20)),
    ],
)
def test_what_json_does_not_know_becomes_something_that_it_does(value: Any, told: Any) -> None:
    assert orjson.loads(encode(value)) == told


@pytest.mark.parametrize("value", [nested(1000), CYCLE, [CYCLE], Holder(CYCLE)])
def test_what_has_no_end_is_cut(value: Any) -> None:
    assert b"(nested too deeply)" in encode(value)


class Any_(TypedDict, total=False):  # noqa: N801 - a state of anything
    """What the graph below knows."""

    x: Any


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        ({"x": "\ud800"}, None, b'{"x":"?"}'),
        ({"x": "a\0b"}, None, '{"x":"a\ufffdb"}'.encode()),
        (None, ValueError("bad \ud800"), b'{"__error__":{"error":"ValueError","message":"bad ?"}}'),
        (None, ValueError("nul \0"), '{"__error__":{"error":"ValueError","message":"nul \ufffd"}}'.encode()),
        (None, SulkyError(),
         b'{"__error__":{"error":"SulkyError","message":"(SulkyError that cannot be told)"}}'),
    ],
)  # fmt: skip
def test_a_run_ends_in_its_first_attempt_whatever_it_holds_or_raises(
    any_url: str, result: Any, error: Exception | None, words: bytes
) -> None:
    calls = 0

    async def test(stores: Stores) -> None:
        async def node(state: Any_) -> Any:
            nonlocal calls
            calls += 1
            if error is not None:
                raise error
            return result

        engine = an_engine(stores, one_node("odd", node, Any_))
        async with live(engine):
            run = await end_of(engine, await begin(engine, "odd", input={"x": 1}, is_temporary=True))

        assert (run.attempt, calls) == (1, 1)
        assert run.status is (RunStatus.SUCCESS if error is None else RunStatus.ERROR)
        assert run.result == words

    in_store(any_url, test)


def test_the_callers_metadata_does_not_take_the_place_of_ours() -> None:
    async def main() -> None:
        stores = in_memory()
        engine = an_engine(stores)
        told = {"run_id": "mine", "thread_id": "mine", "graph_id": "mine", "colour": "blue"}
        async with live(engine):
            first = await begin(engine, "steps", metadata=told, input={"name": "1", "done": []})
            await end_of(engine, first)
            second = await begin(
                engine, "steps", metadata=told, thread=first.thread_id, input={"name": "2", "done": []}
            )
            ended = await end_of(engine, second)
            found = await stores.checkpoints.saver.aget_tuple({"configurable": {"thread_id": first.thread_id}})

        # With one run_id for both, langgraph would take the second run for the first going on.
        assert orjson.loads(ended.result or b"")["name"] == "2"
        assert found is not None
        kept: Any = found.metadata
        assert (kept["run_id"], kept["graph_id"], kept["colour"]) == (second.run_id, "steps", "blue")

    run_apart(main())
