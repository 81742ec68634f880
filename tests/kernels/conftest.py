from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from recurra.kernels.native import implementations, launches


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def two_engine_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine may use two threads, torch's own operations one."""
    launch = launches.launch

    def on_two(one: launches.Launch) -> None:
        one.call.threads = 2
        launch(one)

    monkeypatch.setattr(launches, "launch", on_two)


@pytest.fixture
def deterministic_fill() -> Iterator[None]:
    """What torch leaves uninitialised is filled with NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)


@pytest.fixture
def engine_runs(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often an operator has run the engine, forward and backward."""
    runs: Counter[str] = Counter()

    def run(ready: Any) -> Any:
        runs[ready.__name__] += 1
        return launches.run_alone(ready)

    monkeypatch.setattr(implementations, "run_alone", run)
    return runs
