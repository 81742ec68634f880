import gc
import logging
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from browser import Browser

# The tensors of the tests are small: threads only make them slower. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What is imported is compiled once, also by the processes that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell starts background jobs with Ctrl-C ignored, and what is tested of it would be inherited so.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("recurra", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("recurra")


_MEMORY = Path("/dev/shm")
_MUCH_MEMORY = 4 << 30  # bytes


def pytest_configure(config: pytest.Config) -> None:
    # Files are synced as they are written, and a disk takes longer for it than most of what is tested. Slow tests may
    # write more than memory holds; what is compiled must be executable.
    if config.option.markexpr == "not slow" and _MEMORY.is_dir():
        memory = os.statvfs(_MEMORY)
        if not memory.f_flag & os.ST_NOEXEC and memory.f_bavail * memory.f_frsize > _MUCH_MEMORY:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


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
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figures: list[Any] = []
    write = FigureCanvasAgg.print_png
    monkeypatch.setattr(
        FigureCanvasAgg,
        "print_png",
        lambda canvas, *arguments: (figures.append(canvas.figure), write(canvas, *arguments)),
    )
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
