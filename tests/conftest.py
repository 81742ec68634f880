import gc
import logging
import os
import signal
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from browser import Browser

# The tensors of the tests are small: threads only make them slower. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, and what is tested of it would be inherited so.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("recurra", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("recurra")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The modules and the cases of the tests stay: the garbage collector does not look through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    # What is frozen would be reported as leaked at the end of the process.
    gc.unfreeze()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures of the pictures that are saved, in order: their axes, lines and labels can be read."""
    from matplotlib.figure import Figure

    figures: list[Any] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **k: (figures.append(figure), save(figure, *a, **k)))
    return figures


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Browser]":
    """A browser for all tests of a process, each of which opens a tab; skips if there is none."""
    from browser import browser

    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Each test draws the same random numbers, whichever tests run beside it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(20)


@pytest.fixture(autouse=True)
def _own_logger() -> Iterator[None]:
    """A command sends the package's messages to its terminal; the tests after it find the logger without that.

    It is not restored to what it was before the test: a fixture of the module may have run a command already.
    """
    yield
    logger = logging.getLogger("recurra")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)
