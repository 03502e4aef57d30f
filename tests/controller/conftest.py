from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import a_forecaster, some_settings


@pytest.fixture(scope="session")
def far_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trained bundle that looks a minute ahead, at a step of a second."""
    folder = tmp_path_factory.mktemp("far") / "model"
    a_forecaster(folder, settings=some_settings(horizon=60))
    return folder
