"""Runs that predict rows, made once."""

from pathlib import Path

import pytest
from small_tables import run_of


@pytest.fixture(scope="session")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small classifier of texts."""
    return run_of("classify", tmp_path_factory.mktemp("runs") / "texts")


@pytest.fixture(scope="session")
def forecast_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small forecaster."""
    return run_of("forecast", tmp_path_factory.mktemp("runs") / "forecast")
