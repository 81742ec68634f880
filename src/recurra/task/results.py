"""Results: what verbs return, alike in every task."""

import csv
import io
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Generic, TypeVar

from recurra.errors import ParameterError
from recurra.files import prepare_folder, write_text
from recurra.text_table import text_table

__all__ = ["TRY_NEXT", "Evaluation", "Predictions", "Result", "Table", "TablePredictions", "worse_than"]

#: What to try if a simple method is better than a network trained by gradients.
TRY_NEXT = "more steps (max_steps), more data, another size (hidden_size) or less dropout"

ValuesT = TypeVar("ValuesT")


class Result(ABC):
    """What a verb returns: the command line prints it and writes it.

    Attributes:
        streams: whether the text is the result itself, which the command line prints only if it does not write it.
    """

    streams: bool = False

    @abstractmethod
    def text(self, color: bool = False) -> Iterator[str]:
        """What a terminal shows, piece by piece as it is computed; line ends are part of the pieces.

        Args:
            color: whether the terminal shows colours.
        """

    def remarks(self, color: bool = False) -> Iterator[str]:
        """What a person should read after the text: lines that are not part of the result, for standard error."""
        yield from ()

    def check_path(self, path: str | Path) -> None:
        """Refuse a path that the result cannot be written to, before anything is computed.

        Raises:
            ParameterError: the path does not fit.
        """
        return

    @abstractmethod
    def write(self, path: str | Path) -> list[Path]:
        """Write the result; each file is written whole or not at all.

        Returns:
            The files.

        Raises:
            RunError: a file cannot be written.
            ParameterError: the path does not fit.
        """

    def default_path(self, folder: Path) -> Path | None:
        """Where the command line writes without `--out`.

        Args:
            folder: of the run.

        Returns:
            The path; None: nothing is written, and the text is the result.
        """
        return None


class Predictions(Result, Generic[ValuesT]):
    """What a model says of data."""

    @property
    @abstractmethod
    def values(self) -> ValuesT:
        """What `predict` returns."""


class TablePredictions(Predictions[ValuesT]):
    """Predictions that are written as a table, one row for each item.

    Attributes:
        read_from: the file of the items; None: there was none, and the table is not written unasked.
    """

    read_from: Path | None = None

    @abstractmethod
    def table(self) -> "Table":
        """One row for each item."""

    def write(self, path: str | Path) -> list[Path]:
        """Write the table as CSV; see `Result.write`."""
        target = Path(path)
        if target.suffix.lower() in (".json", ".srt"):
            raise ParameterError("out", "a file ending in .csv or .txt, as this is a table", str(path))
        prepare_folder(target.parent)
        write_text(target, self.table().csv())
        return [target]

    def default_path(self, folder: Path) -> Path | None:
        if self.read_from is None:
            return None
        name = self.read_from.name.removesuffix(".gz")
        return folder / "predictions" / f"{name.rpartition('.')[0] or name}.csv"


@dataclass(frozen=True)
class Table:
    """Rows of figures.

    Attributes:
        columns: their names.
        rows: a value a column.
        shown: how the rows look in a terminal, formatted; empty: the terminal does not show the table.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    shown: str = ""

    def csv(self) -> str:
        """The table as CSV, numbers with six significant digits."""
        lines = [_csv_line(self.columns)]
        lines += [_csv_line([f"{v:.6g}" if isinstance(v, float) else v for v in row]) for row in self.rows]
        return "".join(lines)


@dataclass(frozen=True, repr=False)
class Evaluation(Result):
    """How a model does on data whose truth is known, beside simple baselines.

    Attributes:
        title: the data and its size.
        methods: scores by method and name; "model" comes first, then the baselines.
        main: the name of the score that `score` returns.
        formats: how scores are shown, by name: "%" (the default) for a fraction in percent, or a format such as ".4f".
        losses: the scores of which less is better.
        tables: detailed figures, by the name of their file.
        notes: lines that a person should read after the scores.
        warnings: sentences that a person should read before the scores.
        facts: what else `evaluation.json` holds.
        pictures: functions that draw a PNG file, by the name of the file without its ending.
    """

    title: str
    methods: Mapping[str, Mapping[str, float]]
    main: str
    formats: Mapping[str, str] = field(default_factory=dict)
    losses: frozenset[str] = frozenset()
    tables: Mapping[str, Table] = field(default_factory=dict)
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)

    @property
    def scores(self) -> Mapping[str, float]:
        """The scores of the model."""
        return self.methods["model"]

    @property
    def baselines(self) -> Mapping[str, Mapping[str, float]]:
        """The scores of the other methods."""
        return {name: scores for name, scores in self.methods.items() if name != "model"}

    @property
    def score(self) -> float:
        """The main score, larger for better models: a loss with its sign changed."""
        value = self.scores[self.main]
        return -value if self.main in self.losses else value

    @property
    def is_beaten(self) -> list[str]:
        """The baselines whose main score is better than the model's, as both are shown.

        If both are shown alike, the other scores that both have decide: none may be worse, and one has to be better.
        """
        return [name for name in self.baselines if self._ahead(name, self.main) > 0 or self._wins_tie(name)]

    def beaten_by(self, where: str = "", try_next: str = TRY_NEXT) -> str:
        """A sentence that names the baselines better than the model, and what to try; empty if none is.

        Args:
            where: on which data, if the report does not say so.
            try_next: what to try.
        """
        better = self.is_beaten
        if not better:
            return ""
        names = [self.main]
        if any(self._ahead(name, self.main) == 0 for name in better):
            names += [name for name in self.scores if name != self.main]
        figures = [f"{name} ({self._figures(self.methods[name], names)})" for name in better]
        return worse_than(figures, f"{self._figures(self.scores, names)} {where}".strip(), try_next)

    def table(self) -> str:
        """The scores of every method, in columns."""
        return text_table(self.lines())

    def lines(self) -> list[list[str]]:
        """The cells of `table` as text: the names of the scores after an empty cell, then a line a method."""
        names = list(dict.fromkeys(name for scores in self.methods.values() for name in scores))
        lines = [["", *(f"{name}, %" if self._format(name) == "%" else name for name in names)]]
        for method, scores in self.methods.items():
            lines.append([method, *(self._shown(name, scores.get(name)) for name in names)])
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "title": self.title,
            "main": self.main,
            "methods": {name: dict(scores) for name, scores in self.methods.items()},
            **self.facts,
        }

    def text(self, color: bool = False) -> Iterator[str]:
        if beaten := self.beaten_by():
            yield f"{beaten}\n\n"
        if self.warnings:
            yield "".join(f"{warning}\n" for warning in self.warnings) + "\n"
        yield f"{self.title}\n\n{self.table()}\n"
        for table in self.tables.values():
            if table.shown:
                yield f"\n{table.shown}\n"
        if self.notes:
            yield "\n" + "".join(f"{note}\n" for note in self.notes)

    def write(self, path: str | Path) -> list[Path]:
        """Write `evaluation.json`, a CSV file a table and a PNG file a picture into a folder; see `Result.write`."""
        folder = Path(path)
        prepare_folder(folder)
        written = [folder / "evaluation.json"]
        write_text(written[0], json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n")
        for name, table in self.tables.items():
            written.append(folder / f"{name}.csv")
            write_text(written[-1], table.csv())
        for name, draw in self.pictures.items():
            written.append(folder / f"{name}.png")
            draw(written[-1])
        return written

    def default_path(self, folder: Path) -> Path:
        return folder / "evaluation"

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {self._shown(name, value)}" for name, value in self.scores.items())
        return f"Evaluation({self.title!r}: {scores})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.title)}</p><pre>{escape(self.table())}</pre>"

    def _wins_tie(self, baseline: str) -> bool:
        """Whether a baseline whose main score is shown like the model's is better by the others that both have."""
        if self._ahead(baseline, self.main) != 0:
            return False
        others = [self._ahead(baseline, name) for name in self.scores if name in self.methods[baseline]]
        return max(others) > 0 and min(others) >= 0

    def _ahead(self, baseline: str, score: str) -> float:
        """1 if a baseline is better than the model by a score, 0 if shown alike, else -1; NaN if it has none."""
        own, other = self.scores[score], self.methods[baseline].get(score, math.nan)
        if self._shown(score, own) == self._shown(score, other):
            return 0.0
        ahead = own - other if score in self.losses else other - own
        return math.nan if math.isnan(ahead) else math.copysign(1.0, ahead)

    def _figures(self, scores: Mapping[str, float], names: Sequence[str]) -> str:
        units = {name: " %" if self._format(name) == "%" else "" for name in names}
        return ", ".join(f"{name} {self._shown(name, scores[name])}{units[name]}" for name in names if name in scores)

    def _format(self, name: str) -> str:
        return self.formats.get(name, "%")

    def _shown(self, name: str, value: float | None) -> str:
        if value is None:
            return ""
        return f"{100 * value:.2f}" if self._format(name) == "%" else format(value, self._format(name))


def worse_than(baselines: Sequence[str], measured: str, try_next: str = TRY_NEXT) -> str:
    """The first lines of a report if a simple method does better than the model.

    Args:
        baselines: the methods that are better, at least one.
        measured: by what, such as "accuracy".
        try_next: what to try, beside the simple method.
    """
    better = " and ".join(baselines)
    return f"The model is worse than {better} ({measured}). Try {try_next}, or use the simple method."


def _csv_line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    # The writer quotes a lone carriage return only if line ends have one.
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().removesuffix("\r\n") + "\n"
