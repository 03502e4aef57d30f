"""Stores of every kind, for the tests of the agent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.postgres import fresh_database, postgresql

_numbers = itertools.count()

KINDS = ("memory", "sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real one."""
    with postgresql(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture
def database(postgres_server: str) -> str:
    """The URL of an empty database."""
    return fresh_database(postgres_server, f"test_{next(_numbers)}")


@pytest.fixture
def store_url(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """A store URL of a kind, for a store that is empty at first."""

    def make(kind: str) -> str:
        if kind == "memory":
            return "memory://"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'agent.db'}"
        url: str = request.getfixturevalue("database")
        return url

    return make


@pytest.fixture(params=KINDS)
def any_url(request: pytest.FixtureRequest, store_url: Callable[[str], str]) -> str:
    """Each kind of store in turn."""
    return store_url(request.param)
