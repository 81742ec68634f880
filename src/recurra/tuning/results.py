"""What a search found: its trials, and the best run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import RunError
from recurra.files import prepare_folder, write_text
from recurra.task import Result, load
from recurra.task.results import Table
from recurra.text_table import one_line, text_table

if TYPE_CHECKING:
    from recurra.task import Estimator

__all__ = ["STATES", "Trial", "Tuned"]

STATES = ("complete", "pruned", "failed", "unfinished")
_SHOWN = 10


@dataclass(frozen=True)
class Trial:
    """How one trial ended.

    Attributes:
        number: from 0, which has the options as they were.
        state: one of `STATES`.
        options: those that were searched, by name.
        loss: on the validation data. None: the trial is not complete.
        validation: the same in words.
        seconds: that training took. None: unknown.
        steps: of training. None: unknown.
        reason: why it was pruned or failed.
        where: the machine and the folder of the search.
        losses: on the validation data after each part of training, in ninths.
    """

    number: int
    state: str
    options: dict[str, Any]
    loss: float | None
    validation: str
    seconds: float | None
    steps: int | None
    reason: str
    where: str
    losses: dict[int, float]


@dataclass(frozen=True)
class Tuned(Result):
    """A search that has ended, or was interrupted.

    Attributes:
        title: what was searched, and on which data.
        folder: of the search.
        trials: by number.
        best: the complete trial with the least validation loss. None: there is none.
        is_here: whether the run of the best trial is in the folder.
        next_command: the command that uses the best run next; empty without one.
        importance: how much each option decides which trials are among the best, a fraction, by name (PED-ANOVA,
            Watanabe et al. 2023); empty for fewer than two complete trials.
    """

    title: str
    folder: Path
    trials: Sequence[Trial]
    best: Trial | None
    is_here: bool
    next_command: str
    importance: dict[str, float]

    @property
    def run(self) -> Path:
        """The folder of the best run."""
        return self.folder / "best"

    @property
    def page(self) -> Path:
        """The page of the search."""
        return self.folder / "tuning.html"

    @property
    def options(self) -> dict[str, Any]:
        """The best values of the options that were searched, by name. Raises RunError if no trial is complete."""
        return dict(self._best.options)

    @property
    def estimator(self) -> "Estimator[Any, Any, Any]":
        """The best run, loaded. Raises RunError if there is none in the folder."""
        if not self.is_here:
            raise RunError(f"{self.run}: no complete trial ran in this folder")
        return load(self.run)

    def counts(self) -> str:
        """How many trials there are, such as "40 trials: 25 complete, 15 pruned"."""
        states = [trial.state for trial in self.trials]
        noun = "trial" if len(states) == 1 else "trials"
        each = [f"{states.count(state)} {state}" for state in STATES if state in states]
        return f"{len(states)} {noun}" + (f": {', '.join(each)}" if each else "")

    def chosen(self) -> str:
        """How the best trial was chosen, and what its validation is worth."""
        if self.best is None:
            return "No trial is complete."
        count = sum(trial.loss is not None for trial in self.trials)
        first = next((t for t in self.trials if t.number == 0 and t.loss is not None), None)
        beside = f" With the options as they were (trial 0): {first.validation}." if first is not None else ""
        noun = "trial" if len(self.trials) == 1 else "trials"
        return (
            f"Trial {self.best.number} is the best of {count} complete: {self.best.validation} on the validation data."
            f"{beside} The same validation data chose it among {len(self.trials)} {noun}, which makes its figure "
            "optimistic; test data were not read."
        )

    def table(self) -> Table:
        """A row for each trial."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.options))
        columns = ("trial", "state", "validation_loss", "validation", "seconds", "steps", *names, "reason", "where")
        rows = [
            [
                trial.number,
                trial.state,
                *(
                    "" if value is None else value
                    for value in (trial.loss, trial.validation, trial.seconds, trial.steps)
                ),
                *(_shown(trial.options.get(name)) for name in names),
                trial.reason,
                trial.where,
            ]
            for trial in self.trials
        ]
        return Table(columns, rows)

    def ranked(self) -> list[Trial]:
        """The complete trials, the best first; then the others by number."""
        return sorted(self.trials, key=lambda t: (t.loss is None, t.loss if t.loss is not None else 0.0, t.number))

    def text(self, color: bool = False) -> Iterator[str]:
        yield f"{self.counts()}\n"
        if any(trial.state == STATES[-1] for trial in self.trials):
            yield "unfinished trials continue when the search is started again\n"
        if self.best is None:
            for trial in self.trials[-_SHOWN:]:
                if trial.reason:
                    yield f"trial {trial.number}: {one_line(trial.reason, 200)}\n"
            return
        names = list(self.best.options)
        lines = [["trial", "validation", "seconds", *(name.replace("_", "-") for name in names)]]
        for trial in self.ranked()[:_SHOWN]:
            if trial.loss is not None:
                figures = [trial.validation, "" if trial.seconds is None else f"{trial.seconds:,.0f}"]
                lines.append([str(trial.number), *figures, *(str(_shown(trial.options[name])) for name in names)])
        yield f"\n{text_table(lines)}\n\n{self.chosen()}\n"
        if self.is_here:
            yield f"the run is in {self.run}, the page is {self.page}; next: {self.next_command}\n"
        else:
            yield f"the run is in {self.best.where}, the page is {self.page}\n"

    def write(self, path: str | Path) -> list[Path]:
        """Write the table as CSV; see `Result.write`."""
        target = Path(path)
        prepare_folder(target.parent)
        write_text(target, self.table().csv())
        return [target]

    @property
    def _best(self) -> Trial:
        if self.best is None:
            raise RunError(f"{self.folder}: no trial is complete")
        return self.best


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else value
