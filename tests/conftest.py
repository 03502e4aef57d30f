"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before anything imports numpy or torch: with a test process per core, more threads only wait for each other.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

ROOT = Path(__file__).parents[1]

pytest_plugins = ["tests.servers.fixtures", "tests.cluster.fixtures"]  # real servers, and a real Kubernetes


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder of real demand traces, which are too large and too many-licensed to be part of the project.

    Skips where they are absent, unless FORESCALE_REQUIRE_TRACES is set.
    """
    folder = ROOT.parent / "shared" / "traces"
    if not folder.is_dir():
        missing = f"no traces of real demand at {folder}"
        if os.environ.get("FORESCALE_REQUIRE_TRACES"):
            pytest.fail(missing)
        pytest.skip(missing)
    return folder


@pytest.fixture(scope="session")
def far_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trained bundle that looks a minute ahead, at a step of a second."""
    from tests.builders import a_forecaster, some_settings

    folder = tmp_path_factory.mktemp("far") / "model"
    a_forecaster(folder, settings=some_settings(horizon=60))
    return folder
