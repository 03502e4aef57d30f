"""What a service serves: the assistant, and graphs of the user's own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph

from agent_service.assistant.answering.planner import ModelPlanner, Planner, RulePlanner
from agent_service.assistant.graph import assistant_graph
from agent_service.assistant.looking.sources import Sources
from agent_service.assistant.settings import AssistantSettings
from agent_service.engine.graphs import GraphSource
from agent_service.errors import SettingsError
from agent_service.models.observer import ModelObserver
from agent_service.models.settings import SIMULATED, ModelSettings, create_model
from agent_service.server.settings import ServiceSettings

ASSISTANT = "operations"
_WORDS = "Explains the autoscaler: decisions, forecasts, their accuracy, what-ifs; proposes changes for approval."


class Catalogue:
    """Graphs, and what has to be closed with them."""

    def __init__(
        self,
        settings: ServiceSettings,
        models: ModelSettings,
        observer: ModelObserver,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Raises SettingsError."""
        assistant = AssistantSettings.from_environment(environment)
        self._sources = Sources(assistant)
        model = self._model = create_model(models, observer)
        planner: Planner = RulePlanner()
        if model is not None:
            planner = ModelPlanner(model, models.label, is_simulated=models.kind == SIMULATED)
        graph = assistant_graph(assistant, planner=planner, sources=self._sources)
        ours = GraphSource(ASSISTANT, graph, _WORDS, planner=models.label, is_guarded=True)
        self.graphs = (ours, *loaded_graphs(settings.graphs))

    async def rehearse(self) -> None:
        """Ask the assistant once what it can do: no source and no model is asked for that, and nothing of it stays."""
        graph: Any = self.graphs[0].builder.compile(checkpointer=InMemorySaver(), name=ASSISTANT)
        question = {"messages": [{"role": "user", "content": "help"}]}
        config = {"configurable": {"thread_id": "rehearsal"}}
        async for _ in graph.astream(question, config, stream_mode=["values", "updates", "messages"]):
            pass

    async def close(self) -> None:
        """Give connections back."""
        await self._sources.close()
        close = getattr(self._model, "close", None)  # of an endpoint's; the other kinds hold nothing
        if close is not None:
            await close()


def loaded_graphs(targets: Mapping[str, str]) -> tuple[GraphSource, ...]:
    """Each a StateGraph, compiled or not, or a function that makes one; raises SettingsError."""
    found: list[GraphSource] = []
    for name, target in targets.items():
        module, _, attribute = target.partition(":")
        try:
            made: Any = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise SettingsError(f"graph {name}: {target} cannot be loaded ({error}); is it on PYTHONPATH?") from error
        if callable(made) and not isinstance(made, StateGraph):
            try:
                made = made()
            except Exception as error:  # whatever the user's function may raise
                raise SettingsError(f"graph {name}: {target}() failed ({type(error).__name__}: {error})") from error
        made = getattr(made, "builder", made)  # of a compiled one: it is compiled anew, with our checkpoints
        if not isinstance(made, StateGraph):
            raise SettingsError(f"graph {name}: {target} is no StateGraph, nor makes one")
        if name == ASSISTANT:
            raise SettingsError(f"graph {name}: that name is taken by the assistant; choose another")
        found.append(GraphSource(name, made, target, planner="custom"))
    return tuple(found)
