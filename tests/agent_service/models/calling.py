"""Calls of a model at an endpoint that a test scripts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain_core.messages import AIMessage

from agent_service.models.endpoint import EndpointChatModel
from agent_service.models.errors import ModelError
from agent_service.models.observer import ModelObserver
from agent_service.models.settings import ModelSettings
from tests.agent_service.models.provider import Provider, Told
from tests.coroutines import run_apart

KEY = "sk-a-very-secret-key"


def using(
    provider: Provider,
    test: Callable[[EndpointChatModel], Awaitable[Any]],
    told: ModelObserver | None = None,
    **more: Any,
) -> Any:
    """Run a test with a model there; pauses between attempts are not waited for, but kept in `pauses`."""
    settings = ModelSettings(
        kind="openai", base_url=provider.url, api_key=KEY, model="m",
        timeout_seconds=more.pop("timeout_seconds", 10.0),
    )  # fmt: skip
    pauses: list[float] = more.pop("pauses", [])

    async def skip(seconds: float) -> None:
        pauses.append(seconds)

    async def main() -> Any:
        model = EndpointChatModel.open(settings, told or Told(), **{"sleep": skip, **more})
        try:
            return await test(model)
        finally:
            await model.close()

    return run_apart(main())


async def hello(model: EndpointChatModel) -> AIMessage:
    found = await model.ainvoke("hello")
    assert isinstance(found, AIMessage)
    return found


async def streamed(model: EndpointChatModel) -> Any:
    total: Any = None
    async for chunk in model.astream("hello"):
        total = chunk if total is None else total + chunk
    return total


async def errors_of(model: EndpointChatModel, calls: int) -> list[type[BaseException] | None]:
    """Of calls one after the other; None for one that was answered."""
    found: list[type[BaseException] | None] = []
    for _ in range(calls):
        try:
            await model.ainvoke("hello")
            found.append(None)
        except ModelError as error:
            found.append(type(error))
    return found
