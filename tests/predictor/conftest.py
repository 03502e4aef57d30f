from __future__ import annotations

from pathlib import Path

import pytest

from predictor.forecaster import Forecaster
from tests.builders import a_forecaster


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trained bundle: 5 steps ahead, three levels, a season of 240 steps."""
    folder = tmp_path_factory.mktemp("fleet") / "model"
    a_forecaster(folder)
    return folder


@pytest.fixture(scope="session")
def forecaster(model: Path) -> Forecaster:
    return Forecaster.load(model)
