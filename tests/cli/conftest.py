"""Runs of several processes that nothing disturbed, made once."""

from pathlib import Path

import pytest
from torchruns import ONE_MACHINE, STEPS, torchrun, train, write_waves


@pytest.fixture(scope="session")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of series."""
    return write_waves(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def two(waves: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes of one machine."""
    folder = tmp_path_factory.mktemp("two") / "run"
    process = torchrun(train(waves, folder), *ONE_MACHINE)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    # The first process alone speaks.
    assert out.count("3 series of 80 steps") == out.count(f"trained {STEPS} steps") == 1
    return folder
