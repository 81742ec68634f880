"""Progress of long work: a bar in a terminal or a notebook, and elsewhere a line every so often."""

import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self, TextIO

__all__ = ["Progress", "Tick", "no_tick"]

_SECONDS_BETWEEN_LINES = 30.0

Tick = Callable[[], object]
"""What long work calls after each of its steps."""


def no_tick() -> None:
    """A tick that shows nothing."""


class Progress:
    """Shows how far work is, with the time that is left.

    Args:
        total: steps in all.
        initial: steps that were done before.
        task: what is done, such as "training".
        show: False: nothing; True: a bar; None: a bar in a terminal or a notebook, and lines elsewhere.
        stream: where to; None: standard error.
        seconds: between lines, where no bar is shown.
        unit: what a step is called.
    """

    def __init__(
        self,
        total: int,
        initial: int = 0,
        task: str = "training",
        show: bool | None = None,
        stream: TextIO | None = None,
        seconds: float = _SECONDS_BETWEEN_LINES,
        unit: str = "step",
    ) -> None:
        self._total, self._done, self._first, self._task = total, initial, initial, task
        self._stream = sys.stderr if stream is None else stream
        self._seconds, self._unit = seconds, unit
        self._started = self._said = time.monotonic()
        self._shows = show is not False
        self._bar: Any = None
        if show or (show is None and (self._stream.isatty() or _in_notebook())):
            self._bar = _bar_class()(total=total, initial=initial, desc=task, unit=unit, file=self._stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, figures: Mapping[str, str], steps: int = 1) -> None:
        """Count steps.

        Args:
            figures: what to show beside them, such as the loss, by name.
            steps: how many were done.
        """
        self._done += steps
        if self._bar is not None:
            self._bar.set_postfix(figures, refresh=False)
            self._bar.update(steps)
            return
        now = time.monotonic()
        if self._shows and now - self._said >= self._seconds:
            self._said = now
            left = (now - self._started) / (self._done - self._first) * (self._total - self._done)
            shown = "".join(f", {name} {value}" for name, value in figures.items())
            done = f"{self._unit} {self._done:,} of {self._total:,} ({100 * self._done / self._total:.0f} %)"
            print(f"{self._task}: {done}{shown}, {_duration(left)} left", file=self._stream, flush=True)


def _bar_class() -> Any:
    # Without ipywidgets tqdm's notebook bar only warns.
    if _in_notebook() and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm

        return tqdm
    from tqdm import tqdm

    return tqdm


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
