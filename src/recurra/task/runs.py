"""The runs in a folder, side by side: which options differ, how well they did, how long they took, how large they are.

Nothing of them is loaded: `run.json` and the tables beside it say it all, without torch.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.errors import ParameterError, RunError
from recurra.files import prepare_folder, write_text
from recurra.task.results import Result, Table
from recurra.text_table import one_line, text_table

__all__ = ["Run", "Runs", "runs_in"]

_NOT_COMPARED = ("keep", "device")


@dataclass(frozen=True)
class Run:
    """A run, by what its folder says.

    Attributes:
        name: its folder, below the one that was looked through.
        task: such as "forecast".
        options: by name, those of reading its files included.
        validation: its best validation in words; empty if training has not ended, or nothing was validated.
        evaluation: the main score of the last evaluation, by its name; None if there was none.
        steps: of training. None: unknown.
        seconds: that training took. None: unknown.
        parameters: of the network. None: unknown.
        size: bytes of all its files.
        has_weights: whether it can be loaded; a trial of a search that was not the best has none.
        written: when, in UTC, in ISO 8601.
    """

    name: str
    task: str
    options: dict[str, Any]
    validation: str
    evaluation: tuple[str, float] | None
    steps: int | None
    seconds: float | None
    parameters: int | None
    size: int
    has_weights: bool
    written: str


@dataclass(frozen=True)
class Runs(Result):
    """Runs to compare.

    Attributes:
        runs: by name.
        damaged: a sentence for each folder whose `run.json` cannot be read.
        form: how the text looks: "table", "csv" or "json".
    """

    runs: Sequence[Run]
    damaged: Sequence[str] = ()
    form: str = "table"
    streams = True

    @property
    def differing(self) -> list[str]:
        """The options whose values differ among the runs of a task, in the order of the options."""
        differing: dict[str, None] = {}
        for task in dict.fromkeys(run.task for run in self.runs):
            same = [run for run in self.runs if run.task == task]
            names = dict.fromkeys(name for run in same for name in run.options)
            for name in names:
                values = {json.dumps(run.options.get(name)) for run in same}
                if len(values) > 1 and name not in _NOT_COMPARED:
                    differing[name] = None
        return list(differing)

    def table(self) -> Table:
        """A row for each run: scores, time and size, then the options that differ."""
        names = self.differing
        columns = ("run", "task", "validation", "evaluation", "steps", "seconds", "parameters", "bytes", "weights")
        rows = [
            [
                run.name,
                run.task,
                run.validation,
                "" if run.evaluation is None else f"{run.evaluation[0]} {run.evaluation[1]:.6g}",
                *("" if value is None else value for value in (run.steps, run.seconds, run.parameters)),
                run.size,
                "yes" if run.has_weights else "no",
                *(_text(run.options.get(name)) for name in names),
            ]
            for run in self.runs
        ]
        return Table((*columns, *names), rows)

    def to_json(self) -> list[dict[str, Any]]:
        """The runs as JSON values, with all their options."""
        return [{**vars(run), "evaluation": dict([run.evaluation] if run.evaluation else [])} for run in self.runs]

    def text(self, color: bool = False) -> Iterator[str]:
        if self.form == "json":
            yield json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        elif self.form == "csv":
            yield self.table().csv()
        else:
            yield self._shown() + "\n"

    def remarks(self, color: bool = False) -> Iterator[str]:
        yield from self.damaged

    def write(self, path: str | Path) -> list[Path]:
        """Write the runs as CSV or JSON, by the ending; see `Result.write`."""
        target = Path(path)
        ending = target.suffix.lower()
        if ending not in (".csv", ".json"):
            raise ParameterError("out", "a file ending in .csv or .json", str(path))
        prepare_folder(target.parent)
        content = (
            self.table().csv() if ending == ".csv" else json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        )
        write_text(target, content)
        return [target]

    def _shown(self) -> str:
        names = self.differing
        head = ["run", "task", "validation", "evaluation", "steps", "seconds", "parameters", "MB"]
        lines = [[*head, *(name.replace("_", "-") for name in names)]]
        for run in self.runs:
            evaluation = "" if run.evaluation is None else f"{run.evaluation[0]} {run.evaluation[1]:.4g}"
            figures = [_counted(run.steps), _counted(run.seconds), _counted(run.parameters), f"{run.size / 1e6:,.1f}"]
            values = [one_line(_text(run.options.get(name))) for name in names]
            lines.append([one_line(run.name, 60), run.task, run.validation, evaluation, *figures, *values])
        return text_table(lines)


def runs_in(folder: str | Path, form: str = "table") -> Runs:
    """The runs in a folder and in the folders below it, of any task.

    Args:
        folder: to look through; hidden folders are left out.
        form: see `Runs`.

    Raises:
        RunError: the folder is not there, or holds no run.
    """
    path = Path(folder)
    if not path.is_dir():
        raise RunError(f"{path}: no folder there; give a folder that holds runs")
    runs, damaged = [], []
    for file in sorted(path.rglob("run.json")):
        relative = file.parent.relative_to(path)
        if any(part.startswith(".") for part in relative.parts):
            continue
        try:
            runs.append(_run(file.parent, str(relative) if relative.parts else path.name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            damaged.append(f"{file}: damaged, or written by another version of Recurra ({error!r})")
    if not runs:
        raise RunError(
            damaged[0] if damaged else f"{path}: holds no run; give a folder that `recurra train` wrote into"
        )
    return Runs(runs, damaged, form)


def _run(folder: Path, name: str) -> Run:
    values = _json(folder / "run.json")
    steps, seconds = _trained(folder)
    evaluation, training = _json(folder / "evaluation" / "evaluation.json"), _json(folder / "training.json")
    main = evaluation.get("main")
    return Run(
        name,
        values["task"],
        {**values["options"], **(values["reading"] or {})},
        values["data"].get("best_validation", ""),
        None if main is None else (main, float(evaluation["methods"]["model"][main])),
        steps,
        seconds,
        training.get("parameters"),
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        (folder / "best.safetensors").is_file(),
        values["written"],
    )


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _trained(folder: Path) -> tuple[int | None, float | None]:
    """The last step, and the seconds of the last that the log has; a row cut short by a crash is left out."""
    table = folder / "time.csv"
    whole = table.read_text(encoding="utf-8").rpartition("\n")[0] if table.is_file() else ""
    step, _, seconds = whole.rpartition("\n")[2].partition(",")
    saved = [file.stem.partition("-")[2] for file in folder.glob("checkpoint-*.safetensors")]
    steps = [int(text) for text in [step, *saved] if text.isdigit()]
    return max(steps, default=None), float(seconds) if step.isdigit() else None


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _counted(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
