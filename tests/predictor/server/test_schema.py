"""The API against its own schema, by generated requests: valid ones, and ones that break every rule of the schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation.modes import GenerationMode

from tests.predictor.server.serving import EndlessFeed, Running, serving, settings_of, wait_until_ready


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Running]:
    with serving(settings_of(model), EndlessFeed(("api", "web"))) as running:
        wait_until_ready(running)
        yield running


def operations(server: Running) -> list[Any]:
    """Everything but the stream, which never ends; it has tests of its own."""
    config = schemathesis.Config.from_dict(
        # Which levels and horizons there are depends on the model, which the schema cannot say.
        {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422", "503"]}}}
    )
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", config=config).exclude(path="/v1/events")
    return [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]  # a broken schema may raise


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_that_the_schema_promises(server: Running, mode: GenerationMode) -> None:
    checked = []
    for operation in operations(server):

        @settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            case.call_and_validate()

        try:
            check()
        except Unsatisfiable:
            continue  # nothing can be wrong about a request without parameters
        checked.append(operation.label)

    assert len(checked) >= (8 if mode is GenerationMode.POSITIVE else 5)
